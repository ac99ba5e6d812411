"""The schedule and the masks that settings describe."""

from __future__ import annotations

from lightly_marlin.models import MarlinConfig
from lightly_marlin.training.schedule import WarmupCosine, scale_rate
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.transforms import BatchMasking, MixtureSchedule
from lightly_marlin.utils.errors import UsageError

__all__ = ["masking_of", "schedule_of"]


def schedule_of(settings: PretrainSettings, num_clips: int) -> WarmupCosine:
    """Returns the schedule, with epochs turned into steps.

    Args:
        settings: Of the run.
        num_clips: Training clips of an epoch, one per track.
    """
    total_batch = settings.batch_size * settings.devices
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


def masking_of(
    settings: PretrainSettings, config: MarlinConfig, decode_ratio: float = 1.0
) -> BatchMasking:
    """Returns the masking strategy for a model's token grid.

    Args:
        settings: Of the run.
        config: Sizes of the model.
        decode_ratio: Share of the masked tokens to decode; 1 for all, as in validation.

    Raises:
        UsageError: If the strategy and its ratios do not fit the model.
    """
    end = settings.mask_share_end
    schedule = MixtureSchedule(
        (settings.mask_share, 1 - settings.mask_share),
        None if end is None else (end, 1 - end),
        settings.mask_share_steps,
    )
    try:
        return BatchMasking(
            settings.mask,
            settings.mask_ratio,
            grid=config.grid,
            patch_size=config.patch_size,
            tubelet_size=config.tubelet_size,
            mode=settings.mask_mode,
            order=settings.mask_order,
            schedule=schedule,
            decode_ratio=decode_ratio,
            seed=settings.seed,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
