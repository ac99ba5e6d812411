"""The released learning-rate schedule.

- [0]: Goyal et al., 2017, https://arxiv.org/abs/1706.02677 (scaling with the batch)
- [1]: SGDR, 2017, https://arxiv.org/abs/1608.03983 (cosine)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lightly_marlin.training.settings import PretrainSettings

__all__ = ["WarmupCosine", "scale_rate", "schedule_of"]

_REFERENCE_BATCH = 256


def scale_rate(rate: float, total_batch: int) -> float:
    """Returns a learning rate, given for 256 clips a step, for `total_batch` [0]."""
    return rate * total_batch / _REFERENCE_BATCH


@dataclass(frozen=True)
class WarmupCosine:
    """Linear warm-up from 0, then a cosine [1].

    The released code follows the same curve but changes the rate once per epoch; here
    it changes at every step. After the last step of the schedule the rate stays at its
    minimum.

    Attributes:
        highest: Peak learning rate.
        minimum: Last learning rate.
        warmup_steps: Steps of the warm-up.
        total_steps: Steps of the whole schedule, warm-up included.
    """

    highest: float
    minimum: float
    warmup_steps: int
    total_steps: int

    def __post_init__(self) -> None:
        """Checks the lengths.

        Raises:
            ValueError: If the warm-up is negative or longer than the schedule.
        """
        if not 0 <= self.warmup_steps <= self.total_steps:
            raise ValueError(
                f"Invalid warmup_steps {self.warmup_steps}: must be in "
                f"[0, {self.total_steps}], the number of steps of the schedule."
            )

    def __call__(self, step: int) -> float:
        """Returns the learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.highest * step / max(1, self.warmup_steps - 1)
        length = max(1, self.total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / length)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.minimum + (self.highest - self.minimum) * cosine


def schedule_of(
    settings: PretrainSettings, num_clips: int, world_size: int = 1
) -> WarmupCosine:
    """Returns the schedule, with epochs turned into steps.

    Args:
        settings: Settings of the run.
        num_clips: Training clips of an epoch, one per track.
        world_size: Devices that train together, of all nodes.
    """
    total_batch = settings.batch_size * world_size
    rates = (settings.base_learning_rate, settings.min_learning_rate)
    if settings.scale_rates:
        rates = (scale_rate(rates[0], total_batch), scale_rate(rates[1], total_batch))
    steps_per_epoch = max(1, num_clips // total_batch)
    total_steps = settings.schedule_steps or settings.epochs * steps_per_epoch
    warmup_steps = settings.warmup_steps
    if warmup_steps is None:
        warmup_steps = settings.warmup_epochs * steps_per_epoch
    return WarmupCosine(
        highest=rates[0],
        minimum=rates[1],
        warmup_steps=min(warmup_steps, total_steps),
        total_steps=total_steps,
    )
