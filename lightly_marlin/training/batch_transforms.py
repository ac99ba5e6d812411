"""Masks and augmentation of a run's batches, as its settings say."""

from __future__ import annotations

from lightly_marlin.models import MarlinConfig
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.transforms import (
    BatchAugmentation,
    BatchMasking,
    ClipAugmentation,
    MixtureSchedule,
)
from lightly_marlin.utils.errors import UsageError

__all__ = ["augmentation_of", "masking_of"]


def augmentation_of(
    settings: PretrainSettings, stream: int = 1
) -> BatchAugmentation | None:
    """Returns the augmentation of training batches; None if all of it is off.

    Args:
        settings: Settings of the run.
        stream: Number of the use, see `BatchAugmentation`.

    Raises:
        MissingExtraError: If it is on and kornia is not installed.
    """
    if settings.flip == 0 and settings.crop_scale == 1 and settings.color == 0:
        return None
    augmentation = ClipAugmentation(
        flip=settings.flip,
        crop_scale=(settings.crop_scale, 1.0),
        color=settings.color,
    )
    return BatchAugmentation(augmentation, seed=settings.seed, stream=stream)


def masking_of(
    settings: PretrainSettings,
    config: MarlinConfig,
    decode_ratio: float = 1.0,
    stream: int = 0,
) -> BatchMasking:
    """Returns the masking strategy for a model's token grid.

    Args:
        settings: Settings of the run.
        config: Sizes of the model.
        decode_ratio: Share of the masked tokens to decode; 1 for all, as in validation.
        stream: Number of the use, see `BatchMasking`.

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
            stream=stream,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
