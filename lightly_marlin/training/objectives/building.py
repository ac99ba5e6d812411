"""Objectives of a run, from its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from lightly_marlin.models import Marlin
from lightly_marlin.training.objectives.clip_contrast import ClipContrast
from lightly_marlin.training.objectives.histograms import (
    Histograms,
    VisibleHistograms,
)
from lightly_marlin.training.objectives.instance import Instance
from lightly_marlin.training.objectives.latent import Latent
from lightly_marlin.training.objectives.names import DECODING
from lightly_marlin.training.objectives.objective import Objective
from lightly_marlin.training.objectives.pixels import Pixels

__all__ = ["build_objectives"]


def build_objectives(
    model: Marlin, weights: Mapping[str, float], *, num_processes: int = 1
) -> nn.ModuleDict:
    """Builds the objectives of a run but for the critic, which has an optimizer.

    Args:
        model: The masked autoencoder.
        weights: Weights by name, as `read_objectives` returns them.
        num_processes: Processes that train together.

    Returns:
        The objectives by name, in the order of `weights`.
    """
    config = model.config
    with_decoder = any(name in weights for name in DECODING)
    builders: dict[str, Callable[[], Objective]] = {
        "pixels": lambda: Pixels.of(model),
        "norm_pixels": lambda: Pixels.of(model, norm_pix=True),
        "motion": lambda: Pixels.of(model, norm_pix=True, target="motion"),
        "latent": lambda: Latent(config, with_decoder=with_decoder),
        "instance": lambda: Instance(config),
        "histograms": lambda: Histograms(config, with_decoder=with_decoder),
        "visible_histograms": lambda: VisibleHistograms(config),
        "contrast": lambda: ClipContrast(config, gather_distributed=num_processes > 1),
    }
    return nn.ModuleDict({n: builders[n]() for n in weights if n in builders})
