"""The settings of a pretraining run: each a field with default, range and help.

A field is an option of `recipes/pretrain_marlin.py`, a key of its YAML files and a line
of its --help, see `lightly_marlin.utils.settings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from lightly_marlin.store.track_filter import TrackFilter
from lightly_marlin.training.objectives.names import (
    OBJECTIVES,
    read_objectives,
)
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.utils.settings import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    SEED,
    Choice,
    Range,
    check_settings,
    convert_setting,
    setting,
)

__all__ = ["PretrainSettings", "read_settings", "write_settings"]

_AT_LEAST_2 = Range("at least 2", lambda value: value >= 2)
_BETWEEN_0_AND_1 = Range("in (0, 1), both ends excluded", lambda value: 0 < value < 1)
_SHARE = Range("in [0, 1]", lambda value: 0 <= value <= 1)
_SHARE_ABOVE_0 = Range("in (0, 1]", lambda value: 0 < value <= 1)
_MULTIPLE_OF_16 = Range(
    "a multiple of 16, above 0", lambda value: value > 0 and value % 16 == 0
)
_SHARE_BELOW_1 = Range("in [0, 1)", lambda value: 0 <= value < 1)


def _mask_names() -> Sequence[str]:
    # torch is not loaded for a command line that is wrong already.
    from lightly_marlin.transforms import mask_names

    return (*mask_names(), "and mixtures of two such as fasking+tube")


def _is_mask(name: str) -> bool:
    from lightly_marlin.transforms import split_mask_name

    try:
        split_mask_name(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class RunSettings:
    """The model, its data and where the run is kept."""

    model: Literal[
        "marlin_vit_tiny", "marlin_vit_small", "marlin_vit_base", "marlin_vit_large"
    ] = setting("marlin_vit_base", "Size of the model.", metavar="NAME")
    image_size: int = setting(
        224, "Height and width of the clips in pixels.", _MULTIPLE_OF_16
    )
    store: str | None = setting(
        None,
        "Folder made by preprocess_faces.py; without it, the built-in demo clips.",
        metavar="STORE",
    )
    out: str = setting("run", "Folder of the run.", metavar="RUN")
    weights: str | None = setting(None, "Checkpoint to start from.", metavar="PATH")
    seed: int = setting(0, "Seed of weights, order and masks.", SEED)


@dataclass(frozen=True)
class MaskSettings:
    """The tokens that are hidden, and those that are predicted."""

    mask: str = setting(
        "fasking", "Masking strategy.", Choice(_mask_names, _is_mask), metavar="NAME"
    )
    mask_ratio: float = setting(0.9, "Share of the tokens to mask.", _BETWEEN_0_AND_1)
    mask_mode: Literal["tubelet", "tube"] = setting(
        "tubelet", "Fasking decides once per tubelet or per clip.", metavar="NAME"
    )
    mask_order: Literal["components_masked_first", "components_visible_first"] = (
        setting("components_masked_first", "Order of Fasking.", metavar="NAME")
    )
    mask_share: float = setting(
        0.5, "Share of the first strategy A in a mixture A+B.", _SHARE
    )
    mask_share_end: float | None = setting(
        None, "Share of A after --mask-share-steps; without it, as before.", _SHARE
    )
    mask_share_steps: int = setting(
        1, "Steps from --mask-share to --mask-share-end.", AT_LEAST_1
    )
    decode_ratio: float = setting(
        1.0,
        "Share of the masked tokens to decode in training, by running cells.",
        _SHARE_ABOVE_0,
    )


def _is_number_of_devices(text: str) -> bool:
    # A plain number where settings are made in Python.
    return text == "auto" or (str(text).isdecimal() and int(text) >= 1)


def _is_objectives(text: str) -> bool:
    read_objectives(text)
    return True


@dataclass(frozen=True)
class ObjectiveSettings:
    """What is learned, and the teacher of objectives that need one."""

    objectives: str | None = setting(
        None,
        "Terms of the loss with their weights; without it, pixels=1 and adversarial by "
        "--adversarial-weight.",
        Choice(lambda: tuple(OBJECTIVES), _is_objectives),
        metavar="NAME=WEIGHT",
        words=True,
    )
    teacher_momentum: float = setting(
        0.998, "Momentum of the teacher at the first step.", _SHARE
    )
    teacher_momentum_end: float = setting(
        1.0, "Momentum of the teacher after 1.25 times the schedule.", _SHARE
    )
    export_teacher: bool = setting(
        False, "Save, probe and measure the teacher's encoder, not the trained one."
    )


@dataclass(frozen=True)
class OptimizationSettings:
    """Losses, length and learning rates; rates are for 256 clips a step."""

    adversarial_weight: float = setting(
        0.01, "Weight of the adversarial loss; 0 trains without a critic.", NOT_NEGATIVE
    )
    gradient_penalty_weight: float = setting(
        0.0, "Weight of the critic's gradient penalty.", NOT_NEGATIVE
    )
    batch_size: int = setting(16, "Clips per step and device.", AT_LEAST_1)
    epochs: int = setting(2000, "Length of the schedule in epochs.", AT_LEAST_1)
    max_steps: int | None = setting(
        None, "Step after which to stop, at the latest.", AT_LEAST_1
    )
    schedule_steps: int | None = setting(
        None, "Length of the schedule in steps, in place of --epochs.", AT_LEAST_1
    )
    warmup_epochs: int = setting(40, "Length of the warm-up in epochs.", NOT_NEGATIVE)
    warmup_steps: int | None = setting(
        None, "Length of the warm-up in steps, in place of epochs.", NOT_NEGATIVE
    )
    base_learning_rate: float = setting(
        1.5e-4, "Peak learning rate, for 256 clips a step.", NOT_NEGATIVE
    )
    min_learning_rate: float = setting(
        1e-5, "Last learning rate, for 256 clips a step.", NOT_NEGATIVE
    )
    scale_rates: bool = setting(True, "Learning rates grow with the batch.")
    discriminator_rate: float = setting(
        1.0,
        "Learning rate of the critic, in multiples of that of the model.",
        NOT_NEGATIVE,
    )
    beta1: float = setting(0.9, "First beta of AdamW.", _SHARE_BELOW_1)
    beta2: float = setting(0.95, "Second beta of AdamW.", _SHARE_BELOW_1)
    weight_decay: float = setting(
        0.0, "Weight decay of AdamW, on matrices alone.", NOT_NEGATIVE
    )
    clip_gradient: float = setting(
        0.0,
        "Norm to which the model's gradient is scaled down; 0 for none.",
        NOT_NEGATIVE,
    )


@dataclass(frozen=True)
class DataSettings:
    """Clips for training and validation."""

    stride: int = setting(2, "Frames from one frame of a clip to the next.", AT_LEAST_1)
    # The released code draws from a fixed split; here it is made by seed.
    held_out: float = setting(
        0.1, "Share of the videos to validate on.", _SHARE_BELOW_1
    )
    demo_clips: int = setting(48, "Demo clips, without --store.", AT_LEAST_1)
    demo_frames: int = setting(32, "Frames of a demo clip, 16 or more.", AT_LEAST_1)


@dataclass(frozen=True)
class AugmentationSettings:
    """Random changes of training clips and their regions; none by default."""

    flip: float = setting(0.0, "Share of the training clips to mirror.", _SHARE)
    crop_scale: float = setting(
        1.0,
        "Smallest share of the frame in a random resized crop; 1 for no crops.",
        _SHARE_ABOVE_0,
    )
    color: float = setting(
        0.0,
        "Largest relative change of brightness, contrast and saturation.",
        _SHARE,
    )


@dataclass(frozen=True)
class ProbeSettings:
    """What the encoder is probed and measured on while it trains."""

    probe: str | None = setting(
        None,
        "Labels as for evaluate.py; the encoder is probed on them.",
        metavar="PATH",
    )
    probe_store: str | None = setting(
        None, "Face store of their videos; by default that of --store.", metavar="STORE"
    )
    probe_column: str | None = setting(
        None, "Columns of the labels, separated by commas; by default all.", metavar="C"
    )
    probe_every: int = setting(500, "Steps between two probes.", AT_LEAST_1)
    meters_every: int = setting(
        0, "Steps between two rows of meters.csv; 0 for none.", NOT_NEGATIVE
    )
    meters_tracks: int = setting(
        64, "Tracks whose features are measured, at most.", _AT_LEAST_2
    )


@dataclass(frozen=True)
class MachineSettings:
    """Hardware, and how often the run reports."""

    precision: Literal["32", "32-true", "tf32", "bf16", "bf16-mixed", "auto"] | None = (
        setting(
            None,
            "float32 (32, as released), float32 with products in TF32, or bfloat16 "
            "autocast; auto: bfloat16 where it is fast. Without it, bf16-mixed on GPUs "
            "that have it and 32 elsewhere.",
            metavar="NAME",
        )
    )
    compile: bool = setting(
        False, "Compile transformer blocks and critic with torch.compile."
    )
    cuda_graph: bool = setting(
        False, "Launch a step as one CUDA graph, for small batches on one GPU."
    )
    deterministic: bool = setting(
        False, "Deterministic algorithms: on a GPU, resuming is exact with them alone."
    )
    num_nodes: int = setting(1, "Machines that train together.", AT_LEAST_1)
    devices: str = setting(
        "1",
        "Devices of each machine; auto for all GPUs, or what torchrun or srun started.",
        Choice(lambda: ("1 and more", "auto"), _is_number_of_devices),
        metavar="N",
    )
    strategy: Literal["auto", "ddp", "fsdp"] = setting(
        "auto",
        "Every device has the whole model (ddp), or a share of it (fsdp); auto is ddp "
        "for several devices.",
        metavar="NAME",
    )
    workers: int | None = setting(
        None,
        "Loader processes per device; without it, 2, and more for a GPU.",
        NOT_NEGATIVE,
    )
    logger: Literal["tensorboard", "csv", "wandb", "mlflow", "none"] = setting(
        "tensorboard", "Lightning's logger beside metrics.csv.", metavar="NAME"
    )
    log_every: int = setting(10, "Steps between two rows of metrics.", AT_LEAST_1)
    gradients_every: int = setting(
        0,
        "Steps between two measurements of each objective's gradient; 0 for none.",
        NOT_NEGATIVE,
    )
    save_every: int = setting(200, "Steps between two checkpoints.", AT_LEAST_1)
    validate_every: int = setting(200, "Steps between two validations.", AT_LEAST_1)


@dataclass(frozen=True)
class PretrainSettings(
    MachineSettings,
    ProbeSettings,
    TrackFilter,
    AugmentationSettings,
    DataSettings,
    OptimizationSettings,
    ObjectiveSettings,
    MaskSettings,
    RunSettings,
):
    """All settings of a run, flat; the defaults are the released ones.

    The learning rates are for 256 clips a step and grow with the batch, unless
    `scale_rates` is off. The schedule spans `epochs`; `schedule_steps` replaces that
    span, `max_steps` only stops earlier, so that a run stopped and resumed equals an
    uninterrupted one.
    """

    def __post_init__(self) -> None:
        """Checks ranges and names.

        Raises:
            UsageError: If a value is not supported.
        """
        check_settings(self)

    @property
    def objective_weights(self) -> dict[str, float]:
        """Weights of the objectives by name, those above 0."""
        if self.objectives is not None:
            return read_objectives(self.objectives)
        weights = {"pixels": 1.0, "adversarial": self.adversarial_weight}
        return {name: weight for name, weight in weights.items() if weight > 0}


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
    names = [field.name for field in fields(PretrainSettings)]
    unknown = sorted(str(name) for name in content if name not in names)
    if unknown:
        raise UsageError(
            f"The configuration {path} has unknown settings: {', '.join(unknown)}. "
            f"Supported are {', '.join(names)}."
        )
    return {name: _from_yaml(name, value, path) for name, value in content.items()}


def _from_yaml(name: str, value: object, path: Path) -> object:
    try:
        return convert_setting(PretrainSettings, name, value)
    except TypeError as error:
        raise UsageError(
            f"The configuration {path} has an invalid {name} ({value!r}): must be "
            f"{error}."
        ) from error
