"""Settings of a fine-tuning: each an option with default, range and help."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.settings import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    SEED,
    Range,
    check_settings,
    setting,
)

__all__ = ["FinetuneSettings"]

_SHARE_BELOW_1 = Range("in [0, 1)", lambda value: 0 <= value < 1)
_SHARE_ABOVE_0 = Range("in (0, 1]", lambda value: 0 < value <= 1)

# Fewer clips are learned by heart, unless much is left out at random.
_FEW_CLIPS = 5000
_SHALLOW = 4  # Blocks: the tiny model.

# Few clips in small batches would end before they have learned anything; the released
# code of MARLIN fine-tunes at 1e-4 whatever the batch.
_RATE, _LEAST_RATE = 5e-4, 1e-4
_REFERENCE_BATCH = 256

# Statistics of fewer clips are mostly noise.
_NORM_BATCH = 8


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of a fine-tuning; some defaults depend on the data and the model."""

    tune: Literal["all", "norm", "head"] = setting(
        "all", "Whole encoder, its LayerNorms, or the head alone.", metavar="WHAT"
    )
    epochs: int = setting(30, "Epochs.", AT_LEAST_1)
    batch_size: int = setting(8, "Clips per step and device.", AT_LEAST_1)
    learning_rate: float | None = setting(
        None,
        "Peak learning rate of the head, for 256 clips a step; without it 5e-4, or "
        "what makes 1e-4 for small batches.",
        NOT_NEGATIVE,
    )
    min_learning_rate: float = setting(
        1e-6, "Last learning rate, for 256 clips a step.", NOT_NEGATIVE
    )
    layer_decay: float | None = setting(
        None,
        "Ratio of the rates of neighbouring layers; without it 0.75, or 0.65 for the "
        "tiny model.",
        _SHARE_ABOVE_0,
    )
    weight_decay: float = setting(0.05, "Weight decay of AdamW.", NOT_NEGATIVE)
    warmup_epochs: float = setting(
        5.0, "Warm-up in epochs, at most a fifth of all.", NOT_NEGATIVE
    )
    drop_path: float | None = setting(
        None,
        "Rate of stochastic depth; without it 0.1, or 0.2 for under 5,000 clips, and 0 "
        "for the tiny model.",
        _SHARE_BELOW_1,
    )
    dropout: float | None = setting(
        None,
        "Rate of dropout before the head; without it 0, or 0.5 for under 5,000 clips.",
        _SHARE_BELOW_1,
    )
    batch_norm: bool | None = setting(
        None,
        "Standardise features over the batch before the head; by default for 8 clips "
        "or more per device.",
    )
    crop_scale: float | None = setting(
        None,
        "Smallest share of the frame's area that a random crop keeps; without it 0.8, "
        "or 1 for tasks such as deepfakes, whose traces resizing would blur.",
        _SHARE_ABOVE_0,
    )
    mixup: float | None = setting(
        None,
        "Alpha of MixUp; without it 0.8, or 0 for values and for tasks that crops "
        "of full quality decide.",
        NOT_NEGATIVE,
    )
    cutmix: float = setting(0.0, "Alpha of CutMix.", NOT_NEGATIVE)
    label_smoothing: float = setting(
        0.1, "Share of a class label that is spread over all classes.", _SHARE_BELOW_1
    )
    sample_rate: int = setting(2, "Frames between frames of a clip.", AT_LEAST_1)
    precision: Literal["32", "bf16-mixed"] = setting(
        "32", "float32 or bfloat16 autocast.", metavar="NAME"
    )
    devices: int = setting(1, "Devices that train together.", AT_LEAST_1)
    workers: int = setting(2, "Loader processes per device.", NOT_NEGATIVE)
    seed: int = setting(0, "Seed of splits, head, order and augmentation.", SEED)

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            UsageError: If a value is not supported.
        """
        check_settings(self)
        if self.batch_norm and self.batch_size == 1:
            raise UsageError(
                "One clip has no spread: use --no-batch-norm or a larger --batch-size."
            )

    def completed(
        self, target: Target, *, clips: int, depth: int, fine_traces: bool = False
    ) -> FinetuneSettings:
        """Returns the settings with a value in place of every None.

        Args:
            target: Kind of the labels.
            clips: Number of training clips.
            depth: Number of blocks of the encoder.
            fine_traces: Whether the labels are about traces that mixing and resizing
                would hide.
        """
        few = clips < _FEW_CLIPS
        mixes = target.kind != "regression" and not fine_traces
        shallow = depth <= _SHALLOW
        scale = self.batch_size * self.devices / _REFERENCE_BATCH
        defaults: dict[str, Any] = {
            "learning_rate": max(_RATE, _LEAST_RATE / scale),
            "layer_decay": 0.65 if shallow else 0.75,
            # In so few blocks, a dropped branch changes features more than another
            # clip does.
            "drop_path": 0.0 if shallow else 0.2 if few else 0.1,
            "dropout": 0.5 if few else 0.0,
            "batch_norm": self.batch_size >= _NORM_BATCH,
            "crop_scale": 1.0 if fine_traces else 0.8,
            "mixup": 0.8 if mixes else 0.0,
        }
        return replace(
            self, **{n: v for n, v in defaults.items() if getattr(self, n) is None}
        )
