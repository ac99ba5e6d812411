"""The folder of a pretraining run: its files, its tables, and who may write to it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write

__all__ = ["MetricsCsv", "RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run.

    Attributes:
        path: The folder itself.
    """

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The newest state of the training, from which it can be resumed."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def model(self) -> Path:
        """The newest weights, for `Marlin.from_pretrained`."""
        return self.path / "model"

    @property
    def metrics(self) -> Path:
        """Training metrics."""
        return self.path / "metrics.csv"

    @property
    def validation(self) -> Path:
        """Metrics on held-out clips."""
        return self.path / "validation.csv"

    @property
    def probe(self) -> Path:
        """Metrics of the probe on labelled items."""
        return self.path / "probe.csv"

    @property
    def gradients(self) -> Path:
        """Norms of the objectives' gradients on the encoder."""
        return self.path / "gradients.csv"

    @property
    def meters(self) -> Path:
        """Meters of the features of held-out clips."""
        return self.path / "meters.csv"

    @property
    def config(self) -> Path:
        """The settings of the run."""
        return self.path / "config.yaml"

    @property
    def pictures(self) -> Path:
        """Reconstructions of held-out clips."""
        return self.path / "reconstructions"

    def open(self, *, resume: bool, leader: bool = True) -> Path | None:
        """Makes the folder ready for a training.

        Args:
            resume: Whether to continue a run that may have been begun here.
            leader: Whether this process is the one that writes. Others make nothing
                and may find what the leader has written meanwhile. Until all have met
                that is config.yaml alone: a checkpoint is of an earlier training,
                however late a process begins.

        Returns:
            The checkpoint to continue from, or None to start anew.

        Raises:
            UsageError:
                If there is a run already and `resume` is not set, or if the folder
                cannot be written.
        """
        begun = self.newest_checkpoint() is not None
        if not resume and (begun or (leader and self.config.exists())):
            raise UsageError(
                f"The folder {self.path} holds a run already. Continue it with "
                "--resume, or choose another folder with --out."
            )
        if not leader:
            return self.newest_checkpoint()
        try:
            self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"The run folder {self.path} cannot be written: {error.strerror}. "
                "Choose another with --out."
            ) from error
        return self.newest_checkpoint()

    def newest_checkpoint(self) -> Path | None:
        """Returns the checkpoint written last, or None without any.

        It is last.ckpt, or what Lightning wrote beside the other files when Slurm took
        the machine away.
        """
        found = [path for path in (self.checkpoint,) if path.exists()]
        found += self.path.glob("hpc_ckpt_*.ckpt")
        return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


class MetricsCsv:
    """Appends rows to a CSV file, one per logged step.

    A resumed run starts from a checkpoint that is older than the last rows, so
    `truncate` drops the rows that are going to be written again.

    Args:
        path: The file; its folder exists.
        columns: Names of the columns; the first is "step".
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)

    def truncate(self, last_step: int) -> None:
        """Keeps the rows of steps up to `last_step`; creates the file if missing."""
        rows = [row for row in self.rows() if int(row["step"]) <= last_step]
        with (
            atomic_write(self.path) as temporary,
            temporary.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(rows)

    def append(self, row: Mapping[str, float]) -> None:
        """Writes one row; `row` has a value for every column."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def rows(self) -> list[dict[str, str]]:
        """Returns the complete rows written so far, values as text."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        return [row for row in rows if all(row.get(name) for name in self.columns)]
