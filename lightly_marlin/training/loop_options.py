"""The command line that all small training recipes have in common."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.errors import UsageError

__all__ = ["LoopOptions", "loop_parser", "parse_loop_options"]


@dataclass(frozen=True)
class LoopOptions:
    """What a small training is told.

    Attributes:
        max_steps: Steps to train.
        batch_size: Clips or frames of a step.
        learning_rate: Learning rate.
        out: Folder for metrics and weights.
        seed: Seed of weights, order and masks.
        store: Folder of a face store; None for the built-in demo clips.
        devices: Processes that train together.
    """

    max_steps: int
    batch_size: int
    learning_rate: float
    out: Path
    seed: int
    store: str | None = None
    devices: int = 1

    def make_out(self) -> Path:
        """Returns the folder `out`, made if it does not exist.

        Raises:
            UsageError: If it cannot be made.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"The folder {self.out} cannot be written: {error.strerror}. Choose "
                "another with --out."
            ) from error
        return self.out


def parse_loop_options(
    description: str,
    arguments: Sequence[str] | None,
    *,
    max_steps: int,
    batch_size: int,
    learning_rate: float,
    out: str,
    devices: bool = False,
) -> LoopOptions:
    """Parses the command line of a small training on a face store.

    Args:
        description: What the recipe does, in a line.
        arguments: Command line without the program; None for that of the process.
        max_steps: Default.
        batch_size: Default.
        learning_rate: Default.
        out: Default folder.
        devices: Whether there is an option --devices.

    Returns:
        The options.

    Raises:
        UsageError: If an option is unknown or out of range.
    """
    parser = loop_parser(
        description,
        max_steps=max_steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        out=out,
    )
    parser.add_argument(
        "--store", help="made by preprocess_faces.py; default: built-in demo clips"
    )
    if devices:
        parser.add_argument(
            "--devices",
            type=_positive_int,
            default=1,
            help="processes that train together, default: 1",
        )
    return LoopOptions(**vars(parser.parse_args(arguments)))


def loop_parser(
    description: str, *, max_steps: int, batch_size: int, learning_rate: float, out: str
) -> RecipeParser:
    """Returns a parser of what every small training is told, to add options to.

    Args:
        description: What the recipe does, in a line.
        max_steps: Default.
        batch_size: Default.
        learning_rate: Default.
        out: Default folder.

    Returns:
        A parser whose result has the fields of `LoopOptions`.
    """
    parser = RecipeParser(description=description)

    def add(name: str, kind: Callable[[str], Any], default: Any, text: str) -> None:
        parser.add_argument(
            name, type=kind, default=default, help=f"{text}, default: {default}"
        )

    add("--max-steps", _positive_int, max_steps, "steps to train")
    add("--batch-size", _positive_int, batch_size, "clips or frames of a step")
    add("--learning-rate", _rate, learning_rate, "of AdamW")
    add("--out", Path, Path(out), "folder for metrics and weights")
    add("--seed", _seed, 0, "of weights, order and masks")
    return parser


def _positive_int(text: str) -> int:
    """Returns an integer of at least 1; raises ArgumentTypeError for anything else."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise ArgumentTypeError(f"must be an integer in [0, 2**32), got {text!r}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate < float("inf"):
        raise ArgumentTypeError(f"must be a number of 0 or more, got {text!r}")
    return rate
