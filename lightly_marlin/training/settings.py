"""The settings of a pretraining run: defaults, YAML files, command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from lightly_marlin.models import list_models
from lightly_marlin.transforms import mask_choices, split_mask_name
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write

__all__ = ["PRECISIONS", "PretrainSettings", "read_settings", "write_settings"]

PRECISIONS = ("32", "32-true", "bf16", "bf16-mixed")
"""Names of float32 and of bfloat16 autocast, two of each."""


@dataclass(frozen=True)
class PretrainSettings:
    """What decides the result of a run, and how often it reports.

    The learning rates are for 256 clips a step and grow with the batch, unless
    `scale_rates` is off. The schedule spans `epochs`; `schedule_steps` replaces that
    span, `max_steps` only stops earlier, so that a run stopped and resumed equals an
    uninterrupted one.

    The defaults are the released settings, except where they say so.
    """

    model: str = "marlin_vit_base"
    store: str | None = None
    out: str = "run"
    weights: str | None = None
    # Masks.
    mask: str = "fasking"
    mask_ratio: float = 0.9
    mask_mode: Literal["tubelet", "tube"] = "tubelet"
    mask_order: Literal["components_masked_first", "components_visible_first"] = (
        "components_masked_first"
    )
    # Of a mixture such as fasking+tube: the first one's share at first and at last.
    mask_share: float = 0.5
    mask_share_end: float | None = None
    mask_share_steps: int = 1
    # Share of the masked tokens that are decoded in training, by running cells.
    decode_ratio: float = 1.0
    # Losses.
    adversarial_weight: float = 0.01
    gradient_penalty_weight: float = 0.0
    # Optimisation.
    batch_size: int = 16
    epochs: int = 2000
    max_steps: int | None = None
    schedule_steps: int | None = None
    warmup_epochs: int = 40
    warmup_steps: int | None = None
    base_learning_rate: float = 1.5e-4
    min_learning_rate: float = 1e-5
    scale_rates: bool = True
    # Learning rate of the discriminator, in multiples of that of the model.
    discriminator_rate: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.0
    # Data. The released code draws from a fixed split; here it is made by seed.
    stride: int = 2
    held_out: float = 0.1
    # Limits on the quality of tracks, see `lightly_marlin.data.TrackFilter`.
    min_face: float | None = None
    min_frames: int | None = None
    min_coverage: float | None = None
    min_confidence: float | None = None
    min_sharpness: float | None = None
    min_brightness: float | None = None
    max_brightness: float | None = None
    min_contrast: float | None = None
    max_yaw: float | None = None
    max_jitter: float | None = None
    demo_clips: int = 24
    demo_frames: int = 64
    # Machine and reports.
    precision: str = "32"
    devices: int = 1
    workers: int = 2
    seed: int = 0
    log_every: int = 10
    save_every: int = 200
    validate_every: int = 200

    def __post_init__(self) -> None:
        """Checks ranges and names.

        Raises:
            UsageError: If a value is not supported.
        """
        _check_choice("model", self.model, list_models())
        try:
            split_mask_name(self.mask)
        except ValueError as error:
            raise UsageError(
                f"Invalid mask ({self.mask}). Supported values are {mask_choices()}."
            ) from error
        _check_choice("mask_mode", self.mask_mode, ("tubelet", "tube"))
        _check_choice(
            "mask_order",
            self.mask_order,
            ("components_masked_first", "components_visible_first"),
        )
        _check_choice("precision", self.precision, PRECISIONS)
        if not 0 < self.mask_ratio < 1:
            raise UsageError(
                f"Invalid mask_ratio {self.mask_ratio}. Supported values are in "
                "(0, 1), both ends excluded."
            )
        for name in ("mask_share", "mask_share_end"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(
                    f"Invalid {name} {value}. Supported values are in [0, 1]."
                )
        if not 0 < self.decode_ratio <= 1:
            raise UsageError(
                f"Invalid decode_ratio {self.decode_ratio}. Supported values are in "
                "(0, 1]."
            )
        if not 0 <= self.held_out < 1:
            raise UsageError(
                f"Invalid held_out {self.held_out}. Supported values are in [0, 1)."
            )
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(
                    f"Invalid {name} {getattr(self, name)}. Supported values are in "
                    "[0, 1)."
                )
        if self.seed >= 2**32:
            raise UsageError(f"Invalid seed {self.seed}: must be below 2**32.")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"Invalid {name} {value}: must be at least 1.")
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise UsageError(f"Invalid {name} {value}: must be 0 or more.")


_POSITIVE = (
    "batch_size",
    "epochs",
    "max_steps",
    "schedule_steps",
    "mask_share_steps",
    "stride",
    "demo_clips",
    "demo_frames",
    "devices",
    "log_every",
    "save_every",
    "validate_every",
)
_NOT_NEGATIVE = (
    "adversarial_weight",
    "gradient_penalty_weight",
    "warmup_epochs",
    "warmup_steps",
    "base_learning_rate",
    "min_learning_rate",
    "discriminator_rate",
    "weight_decay",
    "min_face",
    "min_frames",
    "min_coverage",
    "min_confidence",
    "min_sharpness",
    "min_brightness",
    "max_brightness",
    "min_contrast",
    "max_yaw",
    "max_jitter",
    "workers",
    "seed",
)


def read_settings(files: list[Path], overrides: Mapping[str, Any]) -> PretrainSettings:
    """Merges settings: defaults, then each file, then the overrides.

    Args:
        files: YAML files with a mapping of setting names to values.
        overrides: Settings of the command line.

    Returns:
        The settings.

    Raises:
        UsageError: If a file cannot be read, or a setting is unknown or not supported.
    """
    merged: dict[str, Any] = {}
    for path in files:
        merged.update(_read_yaml(path))
    merged.update(overrides)
    return PretrainSettings(**merged)


def write_settings(settings: PretrainSettings, path: Path) -> None:
    """Writes all settings as YAML, atomically; `read_settings` reads them back."""
    text = yaml.safe_dump(asdict(settings), sort_keys=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"The configuration {path} cannot be read: {reason}"
        ) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(
            f"The configuration {path} must map names to values, got "
            f"{type(content).__name__}."
        )
    by_name = {field.name: str(field.type) for field in fields(PretrainSettings)}
    unknown = sorted(str(name) for name in content if name not in by_name)
    if unknown:
        raise UsageError(
            f"The configuration {path} has unknown settings: {', '.join(unknown)}. "
            f"Supported are {', '.join(by_name)}."
        )
    return {
        name: _typed(name, value, by_name[name], path)
        for name, value in content.items()
    }


def _typed(name: str, value: object, annotation: str, path: Path) -> object:
    """Converts a YAML value to its setting's type; 1.5e-4 reads as text in YAML 1.1."""
    if value is None and "None" in annotation:
        return None
    kinds = {"int": int, "float": float, "bool": bool, "str": str}
    kind = kinds.get(annotation.split(" | ")[0], str)
    fits = isinstance(value, bool) == (kind is bool)
    try:
        converted = kind(value)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits or (kind is int and converted != float(str(value))):
        raise UsageError(
            f"The configuration {path} has an invalid {name} ({value!r}): must be "
            f"{annotation}."
        )
    return converted


def _check_choice(name: str, value: str, choices: list[str] | tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(
            f"Invalid {name} ({value}). Supported values are {', '.join(choices)}."
        )
