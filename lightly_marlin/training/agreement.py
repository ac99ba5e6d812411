"""Agreement of all processes on what they are going to do.

Each process reads the command line, the run folder and its machine on its own, and may
begin later than others. What they then do together is only right if all have found the
same: the checkpoint to continue from above all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import distributed

from lightly_marlin.utils.errors import UsageError

__all__ = ["Agreement"]


class Agreement(Callback):
    """Ends a training in all processes if they have not found the same.

    Args:
        found: What this process has found, by name; compared as text.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found = {name: str(value) for name, value in found.items()}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compares, as soon as the processes have met.

        Raises:
            UsageError: If two differ; it names what, and in which process.
        """
        if trainer.world_size == 1:
            return
        everyone: list[Any] = [None] * trainer.world_size
        distributed.all_gather_object(everyone, self.found)
        for rank, found in enumerate(everyone):
            for name, value in everyone[0].items():
                if found.get(name) != value:
                    raise UsageError(
                        f"The processes disagree: {name} is {value} in process 0 and "
                        f"{found.get(name)} in process {rank}. Start all of them with "
                        "one command, on machines that share the run folder."
                    )
