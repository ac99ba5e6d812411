"""Pretraining: the step, its masks and schedule, and what a run leaves behind.

Names are loaded on first use, so that a command line can be read before Lightning is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly_marlin.utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from lightly_marlin.training.pretrain_step import PretrainStep, StepLosses
    from lightly_marlin.training.run_report import card_of_run
    from lightly_marlin.training.schedule import WarmupCosine, scale_rate
    from lightly_marlin.training.small_loop import (
        LoopLog,
        LoopOptions,
        loop_parser,
        parse_loop_options,
    )
    from lightly_marlin.training.validation import mean_color_loss

_FILES = {
    "pretrain_step": ("PretrainStep", "StepLosses"),
    "run_report": ("card_of_run",),
    "schedule": ("WarmupCosine", "scale_rate"),
    "small_loop": ("LoopLog", "LoopOptions", "loop_parser", "parse_loop_options"),
    "validation": ("mean_color_loss",),
}
_MODULES = {name: file for file, names in _FILES.items() for name in names}

__all__ = [
    "LoopLog",
    "LoopOptions",
    "PretrainStep",
    "StepLosses",
    "WarmupCosine",
    "card_of_run",
    "loop_parser",
    "mean_color_loss",
    "parse_loop_options",
    "scale_rate",
]

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
