"""Models told from their weights: what a program needs that is given a file."""

from __future__ import annotations

from pathlib import Path

from lightly_marlin.models.config import MarlinConfig, named_config
from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.models.marlin import Marlin
from lightly_marlin.models.weights.checkpoints import load_weights
from lightly_marlin.models.weights.sizes import config_of_weights

__all__ = ["load_encoder", "load_model"]


def load_encoder(weights: str | Path, name: str | None = None) -> MarlinEncoder:
    """Builds the encoder that weights are for and loads them.

    Example:
        >>> encoder = load_encoder("run/model")

    Args:
        weights: As for `load_weights`. Of a whole model, the encoder's part is used.
        name: Sizes of the model, as for `create_marlin_encoder`; None to tell them from
            the weights.

    Returns:
        The encoder, on the CPU and in evaluation mode.

    Raises:
        UsageError: A ValueError, if the name is unknown, or the weights cannot be
            found, read or fitted, or do not tell their sizes.
    """
    encoder = MarlinEncoder(_config(weights, name))
    load_weights(encoder, weights)
    encoder.eval()
    return encoder


def load_model(weights: str | Path, name: str | None = None) -> Marlin:
    """Builds the masked autoencoder that weights are for and loads them.

    Args:
        weights: As for `load_weights`, of a whole model.
        name: Sizes of the model, as for `create_marlin`; None to tell them from the
            weights.

    Returns:
        The model, on the CPU and in evaluation mode.

    Raises:
        UsageError: As for `load_encoder`.
    """
    model = Marlin(_config(weights, name))
    load_weights(model, weights)
    model.eval()
    return model


def _config(weights: str | Path, name: str | None) -> MarlinConfig:
    return config_of_weights(weights) if name is None else named_config(name)
