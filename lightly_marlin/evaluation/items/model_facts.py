"""Facts about an encoder that a result names: its name, weights and sizes."""

from __future__ import annotations

from typing import Any

from lightly_marlin.features.window_model import AnyModel, encoder_of, weights_digest
from lightly_marlin.models import MarlinConfig
from lightly_marlin.models.config import name_of_config

__all__ = ["model_facts"]


def model_facts(model: AnyModel, weights: str | None = None) -> dict[str, Any]:
    """Returns name, digest of the weights and sizes of an encoder.

    Args:
        model: An encoder or another `WindowModel`, or a whole model for its encoder.
        weights: Result of `weights_digest`, which reads all weights; computed if left
            out.
    """
    encoder = encoder_of(model)
    config = encoder.config
    name = ""
    if isinstance(config, MarlinConfig):
        # Sizes of the clips have entries of their own.
        name = name_of_config(config, any_clips=True)
    sizes = ("num_frames", "img_size", "encoder_dim", "num_tokens")
    grid: tuple[int, int, int] = config.grid
    return {
        "name": name or type(encoder).__name__,
        "weights": weights_digest(encoder) if weights is None else weights,
        **{size: getattr(config, size) for size in sizes},
        "grid": list(grid),
    }
