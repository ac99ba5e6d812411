"""Checkpoints are whole or not at all, and checked before they are used."""

import subprocess
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import SLURMEnvironment
from torch.utils.data import DataLoader

from lightly_marlin.models import Marlin, MarlinConfig
from lightly_marlin.training.checkpoint import (
    LastCheckpoint,
    RunCheckpointIO,
    check_checkpoint,
)
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.errors import UsageError

CONFIG = MarlinConfig(
    img_size=32,
    num_frames=4,
    encoder_dim=24,
    encoder_depth=1,
    encoder_num_heads=2,
    decoder_dim=12,
    decoder_depth=1,
    decoder_num_heads=2,
)


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.open(resume=False)
    return folder


class Module(pl.LightningModule):
    """Trains nothing that matters."""

    def __init__(self):
        super().__init__()
        self.model = torch.nn.Linear(1, 1)
        self.at_step = {}

    def training_step(self, batch, batch_idx):
        loss = self.model(batch).sum()
        self.at_step.get(batch_idx, int)()
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder, *callbacks, steps=5, **options):
    return pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        callbacks=list(callbacks),
        default_root_dir=folder.path,
        plugins=[RunCheckpointIO(folder, Marlin(CONFIG)), *options.pop("plugins", [])],
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


LOADER = DataLoader(torch.ones(20, 1))


def test_run_checkpoint_io__killed_while_saving(folder, monkeypatch):
    """The file that is there stays as it was, and nothing is left beside it."""
    model = Marlin(CONFIG)
    io = RunCheckpointIO(folder, model)
    io.save_checkpoint({"state_dict": {}, "step": 1}, folder.checkpoint)
    before = folder.checkpoint.read_bytes()

    def half(_, path):
        Path(path).write_bytes(b"PK half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="no space"):
        io.save_checkpoint({"state_dict": {}, "step": 2}, folder.checkpoint)
    assert folder.checkpoint.read_bytes() == before
    assert list(folder.checkpoint.parent.iterdir()) == [folder.checkpoint]


def test_run_checkpoint_io__model_goes_with_last_alone(folder):
    io = RunCheckpointIO(folder, Marlin(CONFIG))
    io.save_checkpoint({"state_dict": {}}, folder.path / "other" / "best.ckpt")
    assert not folder.model.exists()
    io.save_checkpoint({"state_dict": {}}, folder.checkpoint)
    assert Marlin.from_pretrained(folder.model).config == CONFIG


def test_last_checkpoint__every_n_steps_and_the_last(folder, monkeypatch):
    steps = []
    save = RunCheckpointIO.save_checkpoint

    def spy(io, checkpoint, path, storage_options=None):
        steps.append(checkpoint["global_step"])
        save(io, checkpoint, path, storage_options)

    monkeypatch.setattr(RunCheckpointIO, "save_checkpoint", spy)
    trainer(folder, LastCheckpoint(folder, every=2)).fit(Module(), LOADER)
    assert steps == [2, 4, 5]
    assert [path.name for path in folder.checkpoint.parent.iterdir()] == ["last.ckpt"]


def test_last_checkpoint__of_a_training_that_stops_early(folder):
    fitted = trainer(folder, LastCheckpoint(folder, every=10))
    module = Module()
    module.at_step[2] = lambda: setattr(fitted, "should_stop", True)
    fitted.fit(module, LOADER)
    assert torch.load(folder.checkpoint, weights_only=True)["global_step"] == 3


def test_slurm__checkpoint_of_a_requeued_job_is_resumed(folder, monkeypatch):
    """The signal comes in step 3; the checkpoint lies in the folder of the run."""
    commands = []
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(
        "pytorch_lightning.trainer.connectors.signal_connector.call",
        lambda command: commands.append(command) or 0,
    )
    environment = SLURMEnvironment(auto_requeue=True)
    fitted = trainer(folder, LastCheckpoint(folder, every=2), plugins=[environment])
    module = Module()
    signal = fitted._signal_connector._slurm_sigusr_handler_fn
    module.at_step[3] = lambda: signal(10, None)
    fitted.fit(module, LOADER)
    assert commands == [["scontrol", "requeue", "7"]]
    requeued = folder.path / "hpc_ckpt_1.ckpt"
    assert torch.load(requeued, weights_only=True)["global_step"] == 3
    again = trainer(folder, LastCheckpoint(folder, every=2))
    again.fit(Module(), LOADER, ckpt_path=requeued, weights_only=True)
    assert again.global_step == 5


def test_check_checkpoint(folder):
    module = Module()
    torch.save({"state_dict": module.state_dict()}, folder.checkpoint)
    check_checkpoint(folder.checkpoint, module)
    with pytest.raises(UsageError, match="is of another training: 4 weights differ"):
        check_checkpoint(folder.checkpoint, torch.nn.Linear(1, 1))
    folder.checkpoint.write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"last\.ckpt cannot be read"):
        check_checkpoint(folder.checkpoint, module)


def test_newest_checkpoint(folder):
    assert folder.newest_checkpoint() is None
    folder.checkpoint.touch()
    requeued = folder.path / "hpc_ckpt_1.ckpt"
    requeued.touch()
    subprocess.run(["touch", "-d", "2001-01-01", folder.checkpoint], check=True)
    assert folder.newest_checkpoint() == requeued
    subprocess.run(["touch", "-d", "2000-01-01", requeued], check=True)
    assert folder.newest_checkpoint() == folder.checkpoint
