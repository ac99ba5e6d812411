"""Scaffold of the small training recipes: their options, progress and losses."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.table import Table
from torch import Tensor

from lightly_marlin.training.run_folder import MetricsCsv
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, progress
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.options import add_options, parse_options
from lightly_marlin.utils.settings import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    SEED,
    check_settings,
    setting,
)

__all__ = [
    "LOOP_COLUMNS",
    "LoopLog",
    "LoopOptions",
    "loop_parser",
    "parse_loop_options",
]

LOOP_COLUMNS = ("step", "loss", "clips_per_second")

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class _TrainingOptions:
    """Length, learning rate and results."""

    max_steps: int = setting(300, "Steps to train.", AT_LEAST_1)
    batch_size: int = setting(2, "Clips or frames of a step.", AT_LEAST_1)
    learning_rate: float = setting(1e-3, "Learning rate of AdamW.", NOT_NEGATIVE)
    out: Path = setting(Path("run"), "Folder for metrics and weights.")
    seed: int = setting(0, "Seed of weights, order and masks.", SEED)

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            UsageError: If a value is not supported.
        """
        check_settings(self)

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


@dataclass(frozen=True)
class LoopOptions(_TrainingOptions):
    """Options of a small training on a face store."""

    store: str | None = setting(
        None, "Made by preprocess_faces.py; without it, the built-in demo clips."
    )
    # An option of `_DistributedOptions` alone.
    devices: int = 1


@dataclass(frozen=True)
class _DistributedOptions(LoopOptions):
    """Options of a small training in several processes."""

    devices: int = setting(1, "Processes that train together.", AT_LEAST_1)


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
        description: The recipe in a sentence.
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
    settings = _DistributedOptions if devices else LoopOptions
    defaults = _defaults(max_steps, batch_size, learning_rate, out)
    return parse_options(settings, arguments, description, defaults)


def loop_parser(
    description: str, *, max_steps: int, batch_size: int, learning_rate: float, out: str
) -> RecipeParser:
    """Returns a parser of what every small training is told, to add options to.

    Args:
        description: The recipe in a sentence.
        max_steps: Default.
        batch_size: Default.
        learning_rate: Default.
        out: Default folder.

    Returns:
        A parser whose result has the fields of `LoopOptions`, but for the store.
    """
    parser = RecipeParser(description=description)
    defaults = _defaults(max_steps, batch_size, learning_rate, out)
    add_options(parser, _TrainingOptions, defaults)
    return parser


def _defaults(
    max_steps: int, batch_size: int, learning_rate: float, out: str
) -> dict[str, Any]:
    return {
        "max_steps": max_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "out": Path(out),
    }


class LoopLog:
    """Counts the steps of a plain training loop and keeps its losses.

        log = LoopLog(options)
        for batch in log.steps(loader):
            ...
            log.loss(loss)
        log.summarise(weights)

    Args:
        options: The options of the recipe; metrics.csv in `out` is written anew.
        every: Steps between two rows.

    Raises:
        UsageError: If the folder cannot be written.
    """

    def __init__(self, options: LoopOptions, every: int = 10) -> None:
        self.max_steps = options.max_steps
        self.batch_size = options.batch_size
        self.every = every
        self.csv = MetricsCsv(options.make_out() / "metrics.csv", LOOP_COLUMNS)
        self._last: Tensor | None = None
        self.csv.path.unlink(missing_ok=True)
        self.csv.truncate(0)

    def steps(self, loader: Iterable[Batch]) -> Iterator[Batch]:
        """Yields a batch per step, and logs the loss that the loop gave for it.

        Args:
            loader: Batches; begun again when it ends.

        Yields:
            Batches, `max_steps` of them.

        Raises:
            UsageError: If the loader has no batch.
        """
        with progress() as bar:
            task = bar.add_task("training", total=self.max_steps, unit="steps")
            begun, last_step = time.perf_counter(), 0
            for step, batch in enumerate(_endless(loader), start=1):
                yield batch
                bar.advance(task)
                if step == 1 or step % self.every == 0 or step == self.max_steps:
                    now = time.perf_counter()
                    rate = (step - last_step) * self.batch_size / (now - begun)
                    self._write(step, rate)
                    begun, last_step = now, step
                if step == self.max_steps:
                    return

    def loss(self, loss: Tensor) -> None:
        """Notes the loss of the current step; its value is read when it is due."""
        self._last = loss.detach()

    def _write(self, step: int, rate: float) -> None:
        if self._last is None:
            raise RuntimeError("The loop gave no loss: call log.loss(loss) in it.")
        loss = float(self._last)
        self.csv.append({"step": step, "loss": loss, "clips_per_second": rate})
        console.print(f"step {step}/{self.max_steps}, loss {loss:.5f}")

    def summarise(self, weights: Path | str) -> None:
        """Prints how the loss went and where things are.

        Args:
            weights: Where the weights were saved.
        """
        rows = self.csv.rows()
        table = Table(title=f"after {self.max_steps} steps", show_header=False)
        table.add_row("loss at step 1", f"{float(rows[0]['loss']):.5f}")
        table.add_row("loss at the end", f"{float(rows[-1]['loss']):.5f}")
        table.add_row("clips per second", f"{float(rows[-1]['clips_per_second']):.1f}")
        table.add_row("metrics", str(self.csv.path))
        table.add_row("weights", str(weights))
        console.print(table)


def _endless(loader: Iterable[Batch]) -> Iterator[Batch]:
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise UsageError("The loader has no batch: there is nothing to train on.")
