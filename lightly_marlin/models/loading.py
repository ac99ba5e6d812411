"""Models built from a checkpoint alone, with the architecture read or inferred."""

from __future__ import annotations

from pathlib import Path

from lightly_marlin.models.config import MarlinConfig, named_config
from lightly_marlin.models.cpu import accelerate_cpu
from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.models.marlin import Marlin
from lightly_marlin.models.weights.checkpoint import Checkpoint

__all__ = ["load_encoder", "load_model"]


def load_encoder(weights: str | Path, name: str | None = None) -> MarlinEncoder:
    """Builds the encoder that a checkpoint belongs to and loads its weights.

    Example:
        >>> encoder = load_encoder("run/model")

    Args:
        weights: Checkpoint, as for `load_weights`; of a whole model, only the encoder
            is used.
        name: Name of the model, as for `create_marlin_encoder`; None to infer the
            architecture from the checkpoint.

    Returns:
        The encoder, on the CPU, accelerated there, and in evaluation mode.

    Raises:
        UsageError: A ValueError, if the name is unknown, or the weights cannot be
            found, read or fitted, or their architecture cannot be inferred.
    """
    checkpoint = Checkpoint.open(weights)
    encoder = MarlinEncoder(_config(checkpoint, name))
    checkpoint.load_into(encoder)
    encoder.eval()
    return accelerate_cpu(encoder)


def load_model(weights: str | Path, name: str | None = None) -> Marlin:
    """Builds the masked autoencoder that a checkpoint belongs to and loads its weights.

    Args:
        weights: Checkpoint of a whole model, as for `load_weights`.
        name: Name of the model, as for `create_marlin`; None to infer the architecture
            from the checkpoint.

    Returns:
        The model, on the CPU, accelerated there, and in evaluation mode.

    Raises:
        UsageError: A ValueError, in the same cases as for `load_encoder`.
    """
    checkpoint = Checkpoint.open(weights)
    model = Marlin(_config(checkpoint, name))
    checkpoint.load_into(model)
    model.eval()
    return accelerate_cpu(model)


def _config(checkpoint: Checkpoint, name: str | None) -> MarlinConfig:
    return checkpoint.architecture() if name is None else named_config(name)
