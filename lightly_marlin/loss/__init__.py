"""Losses on plain tensors; each is usable without a MARLIN model."""

from __future__ import annotations

from lightly_marlin.loss.adversarial_loss import MarlinAdversarialLoss
from lightly_marlin.loss.clip_contrast_loss import ClipContrastLoss
from lightly_marlin.loss.gradient_histograms import (
    gradient_histograms,
    histogram_dim,
)
from lightly_marlin.loss.instance_discrimination_loss import InstanceDiscriminationLoss
from lightly_marlin.loss.latent_prediction_loss import LatentPredictionLoss
from lightly_marlin.loss.predicted_pixels import denormalize_pixels, motion_to_pixels
from lightly_marlin.loss.reconstruction_loss import (
    MarlinReconstructionLoss,
    ReconstructionParts,
)

__all__ = [
    "ClipContrastLoss",
    "InstanceDiscriminationLoss",
    "LatentPredictionLoss",
    "MarlinAdversarialLoss",
    "MarlinReconstructionLoss",
    "ReconstructionParts",
    "denormalize_pixels",
    "gradient_histograms",
    "histogram_dim",
    "motion_to_pixels",
]
