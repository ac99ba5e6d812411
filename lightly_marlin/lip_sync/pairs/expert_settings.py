"""Settings of the training of a sync expert, by default for demo clips or a store."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.settings import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    SEED,
    Range,
    check_settings,
    setting,
)

__all__ = ["ExpertSettings"]

_DEMO = {"width": 8, "batch_size": 32, "learning_rate": 1e-3, "max_steps": 600}
_REAL = {"width": 32, "batch_size": 64, "learning_rate": 1e-4, "max_steps": 100_000}

# Options that the end state does not depend on.
_APART = ("out", "resume", "workers", "log_every", "validate_every", "save_every")

_EVEN = Range("even, and at least 2", lambda value: value >= 2 and value % 2 == 0)


@dataclass(frozen=True)
class ExpertSettings:
    """Data, expert and length of the training."""

    store: str | None = setting(
        None, "Made by preprocess_faces.py --audio; without it, demo clips that talk."
    )
    data: str | None = setting(
        None, "Folder of videos, or of LRS2, to prepare into OUT/store instead."
    )
    out: Path = setting(Path("expert_run"), "Folder of the run.")
    frames: int | None = setting(
        None, "Frames of a window: 5 as Wav2Lip, 16 as MARLIN (default: 5).", AT_LEAST_1
    )
    width: int | None = setting(
        None,
        f"Channels after the stems (default: {_REAL['width']}; {_DEMO['width']} for "
        "the demo).",
        AT_LEAST_1,
    )
    weights: str | None = setting(None, "Expert to go on from: a folder, or the Hub.")
    max_steps: int | None = setting(
        None,
        f"Steps to train (default: {_REAL['max_steps']}; {_DEMO['max_steps']} for the "
        "demo).",
        AT_LEAST_1,
    )
    batch_size: int | None = setting(
        None,
        f"Pairs of a step (default: {_REAL['batch_size']}; {_DEMO['batch_size']} for "
        "the demo).",
        _EVEN,
    )
    learning_rate: float | None = setting(
        None,
        f"Peak learning rate of AdamW (default: {_REAL['learning_rate']}; "
        f"{_DEMO['learning_rate']} for the demo).",
        NOT_NEGATIVE,
    )
    seed: int = setting(0, "Seed of weights, split and pairs.", SEED)
    workers: int = setting(0, "Processes that read pairs.", NOT_NEGATIVE)
    log_every: int = setting(10, "Steps between two rows of metrics.csv.", AT_LEAST_1)
    validate_every: int = setting(100, "Steps between two validations.", AT_LEAST_1)
    save_every: int = setting(100, "Steps between two checkpoints.", AT_LEAST_1)
    pairs_per_track: int = setting(16, "Pairs of a track that is held out.", _EVEN)

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            UsageError: If a value is not supported, or there are two sources of data.
        """
        check_settings(self)
        if self.store is not None and self.data is not None:
            raise UsageError("Give --store or --data, not both.")

    @property
    def demo(self) -> bool:
        """Whether demo clips are trained on."""
        return self.store is None and self.data is None

    def completed(self) -> ExpertSettings:
        """Returns the settings with the defaults that suit the data.

        Raises:
            UsageError: If width and weights are given.
        """
        defaults = _DEMO if self.demo else _REAL
        own = asdict(self)
        if self.weights is not None:
            if self.width is not None:
                raise UsageError("--width is that of --weights: leave it out.")
            defaults = {n: x for n, x in defaults.items() if n != "width"}
        missing = {name: x for name, x in defaults.items() if own[name] is None}
        return replace(self, **missing)  # type: ignore[arg-type]

    def plain(self) -> dict[str, Any]:
        """Returns the settings that the end state depends on, for a file."""
        return {name: x for name, x in asdict(self).items() if name not in _APART}
