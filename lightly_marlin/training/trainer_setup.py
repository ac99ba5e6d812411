"""Preparation of a Lightning trainer: its devices, and notices that say nothing."""

from __future__ import annotations

import logging
import os
import warnings

import pytorch_lightning
import torch

from lightly_marlin.utils.errors import UsageError

__all__ = ["check_devices", "is_leader", "quiet_lightning"]


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
