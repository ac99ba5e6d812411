"""What a small training loop shows and writes: progress, losses, a table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from rich.table import Table
from torch import Tensor

from lightly_marlin.training.loop_options import LoopOptions
from lightly_marlin.training.metrics_csv import MetricsCsv
from lightly_marlin.utils.console import console, progress
from lightly_marlin.utils.errors import UsageError

__all__ = ["LOOP_COLUMNS", "LoopLog"]

LOOP_COLUMNS = ("step", "loss", "clips_per_second")

Batch = TypeVar("Batch")


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
