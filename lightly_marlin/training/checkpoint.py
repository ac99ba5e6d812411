"""Checkpoints of a pretraining run: written whole or not at all, checked before use."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch.nn import Module

from lightly_marlin.models import Marlin
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.sharding import is_sharded
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, remove_leftovers

__all__ = ["LastCheckpoint", "RunCheckpointIO", "check_checkpoint"]


class RunCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints beside their places and renames them; model/ with the last.

    Lightning's own way crosses from the folder of temporary files, which may be on
    another disk, where a rename is a copy that can be interrupted.

    Args:
        folder: Folder of the run.
        model: The model in training, the attribute `model` of the module; None if
            model/ is written elsewhere.
        export_teacher: Whether model/ has the encoder of the module's teacher.
    """

    def __init__(
        self, folder: RunFolder, model: Marlin | None, *, export_teacher: bool = False
    ) -> None:
        super().__init__()
        self.export_teacher = export_teacher
        self.folder = folder
        self.model = model

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,
    ) -> None:
        """Writes a checkpoint, and the weights in it for `Marlin.from_pretrained`."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        with atomic_write(path) as temporary:
            torch.save(checkpoint, temporary)
        last = path.resolve() == self.folder.checkpoint.resolve()
        if last and self.model is not None:
            weights = _weights_of(checkpoint, self.model, self.export_teacher)
            weights.save_pretrained(self.folder.model)


class LastCheckpoint(ModelCheckpoint):
    """Lightning's `ModelCheckpoint` that keeps checkpoints/last.ckpt alone.

    It saves every n steps and after the last one, before any callback exchanges the
    weights at the end of the training, as averaging does.

    Args:
        folder: Folder of the run.
        every: Steps between two checkpoints.
    """

    def __init__(self, folder: RunFolder, every: int) -> None:
        super().__init__(
            dirpath=folder.checkpoint.parent,
            save_last=True,
            save_top_k=0,
            every_n_train_steps=every,
            enable_version_counter=False,
        )

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Saves when it is due."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if trainer.global_step == trainer.max_steps:
            self._save_unsaved(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the end state of a training that was stopped before its last step."""
        self._save_unsaved(trainer)

    def _save_unsaved(self, trainer: Trainer) -> None:
        if not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))


def check_checkpoint(path: Path, module: Module) -> None:
    """Checks that a checkpoint can be read and fits what is being trained.

    Args:
        path: A checkpoint of the trainer.
        module: What is being trained.

    Raises:
        UsageError: If the file is damaged or holds the weights of something else.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        saved = {name: value.shape for name, value in weights["state_dict"].items()}
    except Exception as error:
        # Damaged files fail in many ways: zip, pickle, missing keys, odd values.
        raise UsageError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}). Delete it "
            "to start this run anew."
        ) from error
    expected = {name: value.shape for name, value in module.state_dict().items()}
    differing = sorted(
        name
        for name in saved.keys() | expected.keys()
        if saved.get(name) != expected.get(name)
    )
    if differing:
        raise UsageError(
            f"The checkpoint {path} is of another training: {len(differing)} weights "
            f"differ, the first is {differing[0]}. Resume with the settings it was "
            "begun with, or choose another --out."
        )


def _weights_of(
    checkpoint: dict[str, Any], model: Marlin, from_teacher: bool
) -> Marlin:
    # Lightning's averaging puts other weights into the file than are in training, and
    # only the file has the whole of a model that is spread over processes.
    sharded = is_sharded(model)
    if "averaging_state" not in checkpoint and not from_teacher and not sharded:
        return model
    model = Marlin(model.config) if sharded else copy.deepcopy(model)
    model.load_state_dict(_part(checkpoint, "model."))
    if from_teacher:
        model.encoder.load_state_dict(_part(checkpoint, "teacher.module."))
    return model


def _part(checkpoint: dict[str, Any], prefix: str) -> dict[str, Any]:
    state = checkpoint["state_dict"].items()
    return {name[len(prefix) :]: x for name, x in state if name.startswith(prefix)}
