import pytest
import torch

from lightly_marlin.evaluation.tuning.finetune_files import (
    FinetuneFiles,
    best_checkpoint,
    load_best,
    metrics_columns,
)
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.errors import UsageError

NAN = float("nan")


class Trainer:
    """What the callback needs of a trainer."""

    is_global_zero = True
    max_epochs = 9

    def __init__(self):
        self.current_epoch = -1
        self.global_step = 0
        self.saved = []

    def save_checkpoint(self, path, weights_only=False):
        self.saved.append((path.name, weights_only))

    def next_epoch(self, primary, value, loss):
        self.current_epoch += 1
        self.global_step += 5
        columns = metrics_columns(primary)[2:]
        self.callback_metrics = {name: torch.tensor(0.5) for name in columns}
        self.callback_metrics |= {
            f"{primary}/val": torch.tensor(value),
            "loss/val": torch.tensor(loss),
        }


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.open(resume=False)
    return folder


@pytest.mark.parametrize(
    ("primary", "epochs", "best"),
    [
        ("auc/flat", [(0.6, 1.0), (0.8, 2.0), (0.7, 0.5)], 2),
        # Of equal ones the least loss, then the first.
        ("auc/flat", [(0.8, 2.0), (0.8, 1.0), (0.8, 1.0)], 2),
        ("mae", [(3.0, 1.0), (2.0, 9.0), (4.0, 0.5)], 2),
        # Undefined is worse than any value; if all are, the loss decides.
        ("auc/flat", [(NAN, 0.1), (0.2, 2.0)], 2),
        ("auc/flat", [(NAN, 0.5), (NAN, 0.4), (NAN, 0.6)], 2),
        ("mae", [(NAN, 0.5), (9.0, 2.0)], 2),
    ],
)
def test_finetune_files__best_epoch(folder, primary, epochs, best):
    files, trainer = FinetuneFiles(folder, primary), Trainer()
    files.on_train_start(trainer, None)
    for value, loss in epochs:
        trainer.next_epoch(primary, value, loss)
        files.on_train_epoch_end(trainer, None)
    assert files.best["epoch"] == best
    assert trainer.saved.count(("last.ckpt", False)) == len(epochs)
    assert trainer.saved[0] == ("best.ckpt", True)
    assert [float(row["lr"]) for row in files.csv.rows()] == [0.5] * len(epochs)


def test_finetune_files__resumed_training_knows_the_best(folder):
    files, trainer = FinetuneFiles(folder, "auc/flat"), Trainer()
    files.on_train_start(trainer, None)
    trainer.next_epoch("auc/flat", 0.9, 1.0)
    files.on_train_epoch_end(trainer, None)
    state = files.state_dict()
    # Rows of a second epoch that was not saved are dropped.
    files.csv.append(dict.fromkeys(files.csv.columns, 99))
    again = FinetuneFiles(folder, "auc/flat")
    again.load_state_dict(state)
    again.on_train_start(trainer, None)
    assert len(again.csv.rows()) == 1
    trainer.saved.clear()
    trainer.next_epoch("auc/flat", 0.8, 0.1)
    again.on_train_epoch_end(trainer, None)
    assert trainer.saved == [("last.ckpt", False)]


def test_load_best__damaged(folder):
    best_checkpoint(folder).write_bytes(b"no checkpoint")
    with pytest.raises(UsageError, match=r"best\.ckpt cannot be read"):
        load_best(folder, torch.nn.Linear(1, 1))
