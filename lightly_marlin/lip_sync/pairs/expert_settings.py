"""Settings of the training of a sync expert, by default for demo clips or a store."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from lightly_marlin.lip_sync.talking_settings import Defaults, TalkingSettings
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.settings import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    Range,
    setting,
)

__all__ = ["ExpertSettings"]

_DEFAULTS = Defaults(
    real={
        "width": 32,
        "batch_size": 64,
        "learning_rate": 1e-4,
        "max_steps": 100_000,
    },
    demo={"width": 8, "batch_size": 32, "learning_rate": 1e-3, "max_steps": 900},
)

_EVEN = Range("even, and at least 2", lambda value: value >= 2 and value % 2 == 0)


@dataclass(frozen=True)
class ExpertSettings(TalkingSettings):
    """Expert and length of the training."""

    apart: ClassVar[frozenset[str]] = TalkingSettings.apart | {"validate_every"}

    out: Path = setting(Path("expert_run"), "Folder of the run.")
    frames: int | None = setting(
        None, "Frames of a window: 5 as Wav2Lip, 16 as MARLIN (default: 5).", AT_LEAST_1
    )
    width: int | None = setting(
        None, _DEFAULTS.help("width", "Channels after the stems"), AT_LEAST_1
    )
    weights: str | None = setting(None, "Expert to go on from: a folder, or the Hub.")
    max_steps: int | None = setting(
        None, _DEFAULTS.help("max_steps", "Steps to train"), AT_LEAST_1
    )
    batch_size: int | None = setting(
        None, _DEFAULTS.help("batch_size", "Pairs of a step"), _EVEN
    )
    learning_rate: float | None = setting(
        None,
        _DEFAULTS.help("learning_rate", "Peak learning rate of AdamW"),
        NOT_NEGATIVE,
    )
    validate_every: int = setting(100, "Steps between two validations.", AT_LEAST_1)
    pairs_per_track: int = setting(16, "Pairs of a track that is held out.", _EVEN)

    def completed(self) -> ExpertSettings:
        """Returns the settings with the defaults that suit the data.

        Raises:
            UsageError: If width and weights are given.
        """
        defaults = _DEFAULTS.demo if self.demo else _DEFAULTS.real
        own = asdict(self)
        if self.weights is not None:
            if self.width is not None:
                raise UsageError("--width is that of --weights: leave it out.")
            defaults = {n: x for n, x in defaults.items() if n != "width"}
        missing = {name: x for name, x in defaults.items() if own[name] is None}
        return replace(self, **missing)
