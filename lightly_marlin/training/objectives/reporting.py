"""Names of the objectives' losses in metrics.csv and in loggers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from lightly_marlin.utils.metric_names import (
    DISCRIMINATOR,
    GENERATOR,
    LOSS,
    MARLIN_LOSSES,
    RECONSTRUCTION,
)

__all__ = ["logged_losses", "loss_column", "loss_columns"]

# Losses of other targets than pixels are no errors of pixels: they have their own.
_COLUMNS = {
    "pixels": RECONSTRUCTION,
    "adversarial": GENERATOR,
    "discriminator": DISCRIMINATOR,
}

# What an objective reports beside its loss.
_PARTS = {"motion": ("first_frame", "difference")}


def loss_column(name: str) -> str:
    """Returns the column of a loss.

    Args:
        name: Name of the objective, or of what it reports.
    """
    return _COLUMNS.get(name, f"{LOSS}{name}")


def loss_columns(objectives: Iterable[str]) -> tuple[str, ...]:
    """Returns the columns of the losses: MARLIN's three, those of other objectives.

    Args:
        objectives: Names of the objectives.
    """
    names = [part for name in objectives for part in (name, *_PARTS.get(name, ()))]
    columns = (*MARLIN_LOSSES, *map(loss_column, names))
    return tuple(dict.fromkeys(columns))


def logged_losses(reported: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns losses by column; those of MARLIN's three that are not trained are 0.

    Args:
        reported: Detached scalars by name, see `ObjectiveLosses`.
    """
    zero = torch.zeros_like(next(iter(reported.values())))
    losses = {loss_column(name): loss for name, loss in reported.items()}
    return {**dict.fromkeys(MARLIN_LOSSES, zero), **losses}
