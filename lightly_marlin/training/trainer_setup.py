"""Preparation of a Lightning trainer: its devices, and notices that say nothing."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import pytorch_lightning
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy, Strategy

from lightly_marlin.training.checkpoint import LastCheckpoint, RunCheckpointIO
from lightly_marlin.training.marlin_pretraining import MarlinPretraining
from lightly_marlin.training.processes import count_devices
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.sharding import ShardedStrategy
from lightly_marlin.utils.device import lightning_precision

__all__ = [
    "one_device_trainer",
    "pretraining_trainer",
    "quiet_lightning",
]


def pretraining_trainer(
    module: MarlinPretraining,
    folder: RunFolder,
    logger: Logger | None,
    callbacks: list[Callback],
    max_steps: int,
) -> Trainer:
    """Returns the trainer of a pretraining; its checkpoints are the run folder's.

    Args:
        module: The pretraining, whose settings name precision, nodes and devices.
        folder: The folder of the run.
        logger: Logger beside metrics.csv.
        callbacks: What is done after steps, in this order.
        max_steps: Step after which to stop.
    """
    settings = module.settings
    checkpoints = RunCheckpointIO(
        folder, module.model, export_teacher=settings.export_teacher
    )
    devices = count_devices(settings.devices)
    world_size = settings.num_nodes * devices
    strategy: Strategy | str = "auto"
    if settings.strategy == "fsdp":
        strategy = ShardedStrategy(world_size)
    elif settings.strategy == "ddp" or world_size > 1:
        # Each step trains every parameter that is not left out, and none has running
        # statistics: nothing to search for, nothing to send but gradients.
        strategy = DDPStrategy(
            find_unused_parameters=False,
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )
    return Trainer(
        max_steps=max_steps,
        max_epochs=-1,
        precision=lightning_precision(settings.precision or "32"),
        accelerator="auto",
        devices=devices,
        num_nodes=settings.num_nodes,
        strategy=strategy,
        # Without a wish, whatever the process is set to stays.
        deterministic=settings.deterministic or None,
        default_root_dir=folder.path,
        logger=logger or False,
        log_every_n_steps=settings.log_every,
        plugins=[checkpoints],
        callbacks=callbacks,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


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
    # What it advises would still send buffers, of which there are none to send.
    warnings.filterwarnings("ignore", ".*broadcast_buffers. is deprecated.*")
    # Nothing changes what the sharded layers return in place.
    warnings.filterwarnings("ignore", ".*FSDP2-wrapped module .* returned a view.*")
    # A frozen encoder neither drops paths nor learns.
    warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*")
