"""Names of the objectives' losses in metrics.csv and in loggers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from lightly_marlin.training.objectives.names import DECODING

__all__ = ["logged_losses", "loss_columns"]

_COLUMNS = {
    **dict.fromkeys(DECODING, "loss/reconstruction"),
    "adversarial": "loss/generator_adversarial",
    "discriminator": "loss/discriminator",
}
_ALWAYS = tuple(dict.fromkeys(_COLUMNS.values()))


def loss_columns(objectives: Iterable[str]) -> tuple[str, ...]:
    """Returns the columns of the losses: MARLIN's three, and one per other objective.

    Args:
        objectives: Names of the objectives.
    """
    return (*_ALWAYS, *(f"loss/{name}" for name in objectives if name not in _COLUMNS))


def logged_losses(reported: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns losses by column; those of MARLIN's three that are not trained are 0.

    Args:
        reported: Detached scalars by name, see `ObjectiveLosses`.
    """
    zero = torch.zeros_like(next(iter(reported.values())))
    losses = dict.fromkeys(_ALWAYS, zero)
    for name, loss in reported.items():
        losses[_COLUMNS.get(name, f"loss/{name}")] = loss
    return losses
