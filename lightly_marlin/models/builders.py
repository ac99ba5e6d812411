"""Builders of the named models, by the conventions of PyTorchVideo.

`pytorchvideo.models.net.Net` takes what they return as one of its blocks:

    Net(blocks=nn.ModuleList([create_marlin_encoder(), nn.Linear(768, num_classes)]))

`Net` reinitialises all linear layers of its blocks, so load weights after building it:
`load_weights(net.blocks[0], path)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightly_marlin.models.config import named_config
from lightly_marlin.models.cpu import accelerate_cpu
from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.models.marlin import Marlin
from lightly_marlin.models.weights.checkpoint import load_weights

__all__ = ["create_marlin", "create_marlin_encoder"]


def create_marlin(
    name: str = "marlin_vit_base",
    *,
    weights: str | Path | None = None,
    **overrides: Any,
) -> Marlin:
    """Builds a masked autoencoder, encoder and decoder.

    Args:
        name: One of `list_models()`, or a released name such as `marlin_vit_base_ytf`.
        weights: Path of a checkpoint of any kind that `load_weights` knows, or id of a
            repository on the Hugging Face Hub; random weights if left out.
        overrides: Fields of `MarlinConfig` to set to other values.

    Returns:
        The model, accelerated on CPUs.

    Raises:
        UsageError: A ValueError, if the name or an override is unknown, or the weights
            cannot be found, read or fitted.
    """
    model = Marlin(named_config(name, **overrides))
    if weights is not None:
        load_weights(model, weights)
    return accelerate_cpu(model)


def create_marlin_encoder(
    name: str = "marlin_vit_base",
    *,
    weights: str | Path | None = None,
    **overrides: Any,
) -> MarlinEncoder:
    """Builds an encoder, for features or as the first block of a larger network.

    Args:
        name: One of `list_models()`, or a released name such as `marlin_vit_base_ytf`.
        weights: Path of a checkpoint of any kind that `load_weights` knows, or id of a
            repository on the Hugging Face Hub; random weights if left out. Of a whole
            model, the encoder's part is used.
        overrides: Fields of `MarlinConfig` to set to other values.

    Returns:
        The encoder, accelerated on CPUs; called on videos (B, C, T, H, W) it returns
        features (B, D).

    Raises:
        UsageError: A ValueError, if the name or an override is unknown, or the weights
            cannot be found, read or fitted.
    """
    encoder = MarlinEncoder(named_config(name, **overrides))
    if weights is not None:
        load_weights(encoder, weights)
    return accelerate_cpu(encoder)
