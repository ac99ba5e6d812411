"""Settings that the trainings of lip synchronisation share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.settings import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    SEED,
    check_settings,
    setting,
)

__all__ = ["Defaults", "TalkingSettings"]


@dataclass(frozen=True)
class Defaults:
    """Defaults of settings that depend on the data.

    Attributes:
        real: Values by name, for a store or a folder.
        demo: Values by name, for demo clips.
    """

    real: Mapping[str, Any]
    demo: Mapping[str, Any]

    def help(self, name: str, text: str) -> str:
        """Returns the help of a setting, with both defaults."""
        return f"{text} (default: {self.real[name]}; {self.demo[name]} for the demo)."


@dataclass(frozen=True)
class TalkingSettings:
    """Data of the training, and what its run writes."""

    # Options that the end state does not depend on.
    apart: ClassVar[frozenset[str]] = frozenset(
        ("out", "workers", "log_every", "save_every")
    )

    store: str | None = setting(
        None, "Made by preprocess_faces.py --audio; without it, demo clips that talk."
    )
    data: str | None = setting(
        None, "Folder of videos, or of LRS2, to prepare into OUT/store instead."
    )
    seed: int = setting(0, "Seed of weights, split and samples.", SEED)
    workers: int = setting(0, "Processes that read samples.", NOT_NEGATIVE)
    log_every: int = setting(10, "Steps between two rows of metrics.csv.", AT_LEAST_1)
    save_every: int = setting(100, "Steps between two checkpoints.", AT_LEAST_1)

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

    def plain(self) -> dict[str, Any]:
        """Returns the settings that the end state depends on, for a file."""
        return {name: x for name, x in asdict(self).items() if name not in self.apart}
