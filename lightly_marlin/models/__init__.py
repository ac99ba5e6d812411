"""MARLIN as a model: encoder, decoder, discriminator, builders and weights."""

from lightly_marlin.models.builders import create_marlin, create_marlin_encoder
from lightly_marlin.models.config import MarlinConfig, list_models
from lightly_marlin.models.cpu import accelerate_cpu
from lightly_marlin.models.decoder import MarlinDecoder
from lightly_marlin.models.discriminator import MarlinDiscriminator
from lightly_marlin.models.ema_teacher import EmaTeacher, linear_momentum
from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.models.instance_head import InstanceHead
from lightly_marlin.models.latent_predictor import LatentHead, LatentPredictor
from lightly_marlin.models.loading import load_encoder, load_model
from lightly_marlin.models.marlin import Marlin
from lightly_marlin.models.weights.checkpoint import load_weights
from lightly_marlin.models.weights.model_card import ModelCard

__all__ = [
    "EmaTeacher",
    "InstanceHead",
    "LatentHead",
    "LatentPredictor",
    "Marlin",
    "MarlinConfig",
    "MarlinDecoder",
    "MarlinDiscriminator",
    "MarlinEncoder",
    "ModelCard",
    "accelerate_cpu",
    "create_marlin",
    "create_marlin_encoder",
    "linear_momentum",
    "list_models",
    "load_encoder",
    "load_model",
    "load_weights",
]
