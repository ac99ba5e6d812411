"""End of a Slurm job's time: a last checkpoint, and the job back in the queue.

    #SBATCH --signal=USR1@120

has Slurm send SIGUSR1 to all tasks 120 seconds before the end. Lightning's own answer
saves from within the signal's handler, wherever each process happens to be: in the
middle of a step, between the critic's update and the model's, or while others wait in a
reduction. Here the handler makes a note, all processes agree after a step, and what is
saved is the state after it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer

from lightly_marlin.training.every_steps import EverySteps
from lightly_marlin.training.gradient_average import mean_over_processes
from lightly_marlin.training.processes import find_launcher
from lightly_marlin.utils.console import console

__all__ = ["Requeue"]

_EVERY = 10
"""Steps between two looks of several processes at each other's notes."""


class Requeue(EverySteps):
    """Stops a training that Slurm has warned, and puts its job back into the queue.

    Without srun it does nothing. The checkpoint of the last step is that which any
    training leaves behind that is stopped.
    """

    def __init__(self) -> None:
        super().__init__(_EVERY)
        self.warned = False
        self._before_handler: Any = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begins to listen; Lightning leaves a signal alone that has a handler."""
        launcher = find_launcher()
        if launcher is None or launcher.name != "srun":
            return
        self.every = 1 if trainer.world_size == 1 else _EVERY
        self._before_handler = signal.signal(signal.SIGUSR1, self._note)

    def teardown(
        self, trainer: Trainer, pl_module: LightningModule, stage: str
    ) -> None:
        """Listens no longer."""
        if self._before_handler is not None:
            signal.signal(signal.SIGUSR1, self._before_handler)
            self._before_handler = None

    def on_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the training in all processes if any of them was warned."""
        if self._before_handler is None:
            return
        if trainer.world_size > 1:
            note = torch.tensor([float(self.warned)], device=pl_module.device)
            self.warned = float(mean_over_processes(note)) > 0
        if self.warned:
            trainer.should_stop = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts the job back, once the checkpoint is there."""
        unfinished = trainer.global_step < trainer.max_steps
        if self.warned and unfinished and trainer.is_global_zero:
            requeue_job(trainer.global_step)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.warned = True


def requeue_job(step: int) -> None:
    """Asks Slurm to start this job again.

    Args:
        step: Steps done, for the message.
    """
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    console.print(f"The job's time ends: stopped after step {step}, requeues {job}.")
    try:
        done = subprocess.run(["scontrol", "requeue", job], check=False)
        failed = done.returncode != 0
    except OSError:
        failed = True
    if failed:
        console.print(f"scontrol requeue {job} failed: submit the job again yourself.")
