import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from lightly_marlin.training import callbacks
from lightly_marlin.training.callbacks import (
    METRICS_COLUMNS,
    StepProgress,
    WriteMetrics,
    make_logger,
)
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.errors import UsageError


class Module(pl.LightningModule):
    """Anybody's module that logs the columns of metrics.csv."""

    def __init__(self):
        super().__init__()
        self.model = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        loss = self.model(batch).sum()
        self.log_dict({name: float(batch_idx) for name in METRICS_COLUMNS[1:-1]})
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(out, *hooks, steps=5, logger=False):
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        callbacks=list(hooks),
        default_root_dir=out,
        logger=logger,
        log_every_n_steps=2,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(hook, StepProgress) for hook in hooks),
    )
    trainer.fit(Module(), DataLoader(torch.ones(20, 1)))
    return trainer


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.open(resume=False)
    return folder


def test_write_metrics__rows_and_logger(folder):
    logger = CSVLogger(folder.path, name="", version="csv")
    writer = WriteMetrics(folder, clips_per_step=4, every=2)
    fit(folder.path, writer, logger=logger)
    rows = writer.csv.rows()
    assert [row["step"] for row in rows] == ["2", "4", "5"]
    assert [float(row["loss/reconstruction"]) for row in rows] == [1.0, 3.0, 4.0]
    assert all(float(row["clips_per_second"]) > 0 for row in rows)
    header = (folder.path / "csv" / "metrics.csv").read_text().splitlines()[0]
    assert set(METRICS_COLUMNS) <= set(header.split(","))


def test_step_progress__lines_without_a_terminal(tmp_path, capsys):
    fit(tmp_path, StepProgress(every=2))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("step")] == [
        "step 2/5, reconstruction 1.00000",
        "step 4/5, reconstruction 3.00000",
        "step 5/5, reconstruction 4.00000",
    ]


def test_step_progress__bar_counts_all_steps(tmp_path, monkeypatch):
    class Terminal:
        is_terminal = True

    monkeypatch.setattr(callbacks, "console", Terminal)
    bar = StepProgress(every=2)
    fit(tmp_path, bar)
    assert (bar.train_progress_bar.completed, bar.train_progress_bar.total) == (5, 5)
    assert bar.train_progress_bar.description == "training"
    assert bar.get_metrics(bar.trainer, None) == {"loss": "4.0000"}


def test_make_logger(tmp_path):
    assert make_logger("none", tmp_path) is None
    assert isinstance(make_logger("csv", tmp_path), CSVLogger)
    logger = make_logger("tensorboard", tmp_path)
    assert isinstance(logger, TensorBoardLogger)
    assert logger.log_dir == str(tmp_path / "tensorboard")


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_make_logger__missing_package_is_named(name, tmp_path):
    with pytest.raises(UsageError, match=f"pip install {name}$"):
        make_logger(name, tmp_path)
