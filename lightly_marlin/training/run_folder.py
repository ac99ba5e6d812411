"""The folder of a pretraining run: what is in it, and who may write to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightly_marlin.utils.errors import UsageError

__all__ = ["RunFolder"]


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
    def config(self) -> Path:
        """The settings of the run."""
        return self.path / "config.yaml"

    @property
    def pictures(self) -> Path:
        """Reconstructions of held-out clips."""
        return self.path / "reconstructions"

    def open(self, *, resume: bool) -> Path | None:
        """Makes the folder ready for a training.

        Args:
            resume: Whether to continue a run that may have been begun here.

        Returns:
            The checkpoint to continue from, or None to start anew.

        Raises:
            UsageError:
                If there is a run already and `resume` is not set, or if the folder
                cannot be written.
        """
        if not resume and (self.config.exists() or self.checkpoint.exists()):
            raise UsageError(
                f"The folder {self.path} holds a run already. Continue it with "
                "--resume, or choose another folder with --out."
            )
        try:
            self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            self.pictures.mkdir(exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"The run folder {self.path} cannot be written: {error.strerror}. "
                "Choose another with --out."
            ) from error
        return self.checkpoint if self.checkpoint.exists() else None
