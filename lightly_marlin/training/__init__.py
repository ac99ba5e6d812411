"""Pretraining: the step, its masks and schedule, and what a run leaves behind."""

from lightly_marlin.training.baseline import mean_color_loss
from lightly_marlin.training.loop_log import LoopLog
from lightly_marlin.training.loop_options import (
    LoopOptions,
    loop_parser,
    parse_loop_options,
)
from lightly_marlin.training.pretrain_step import PretrainStep, StepLosses
from lightly_marlin.training.run_card import card_of_run
from lightly_marlin.training.schedule import WarmupCosine, scale_rate

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
