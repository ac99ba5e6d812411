"""Preparation of a Lightning trainer: its devices, and notices that say nothing."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence

import pytorch_lightning
import torch
from pytorch_lightning import Callback, Trainer

from lightly_marlin.training.checkpoint import LastCheckpoint, RunCheckpointIO
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.errors import UsageError

__all__ = ["check_devices", "is_leader", "one_device_trainer", "quiet_lightning"]


def check_devices(wanted: int) -> None:
    """Raises UsageError if there are fewer GPUs (without any: cores) than wanted."""
    gpus = torch.cuda.device_count()
    available = gpus or os.cpu_count() or 1
    if wanted > available:
        raise UsageError(
            f"{wanted} devices are asked for, but there are {available} "
            f"{'GPUs' if gpus else 'cores and no GPU'}. Lower --devices."
        )


def is_leader() -> bool:
    """Returns False in programs that the trainer started for its further devices."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def one_device_trainer(
    folder: RunFolder, max_steps: int, save_every: int, callbacks: Sequence[Callback]
) -> Trainer:
    """Returns a trainer that counts steps, and writes checkpoints to resume from.

    Args:
        folder: The folder of the run.
        max_steps: Steps of the training.
        save_every: Steps between two checkpoints.
        callbacks: What else is done after steps, in this order.
    """
    return Trainer(
        max_steps=max_steps,
        max_epochs=-1,
        accelerator="auto",
        devices=1,
        default_root_dir=folder.path,
        logger=False,
        plugins=[RunCheckpointIO(folder, None)],
        callbacks=[*callbacks, LastCheckpoint(folder, save_every)],
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def quiet_lightning() -> None:
    """Silences notices that say nothing about our trainings."""
    # Importing it sets the level, too.
    logging.getLogger(pytorch_lightning.__name__).setLevel(logging.ERROR)
    # The sampler itself continues at the right clip.
    warnings.filterwarnings("ignore", ".*mid-epoch.*")
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    # The advice of CSV and progress loggers is for automatic optimisation.
    warnings.filterwarnings("ignore", ".*LeafSpec.*")
    # A checkpoint is the state after its step, as it should be.
    warnings.filterwarnings("ignore", ".*no pre-optimization state was saved.*")
    # A frozen encoder neither drops paths nor learns.
    warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*")
