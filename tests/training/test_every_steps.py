import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from lightly_marlin.training.every_steps import EverySteps


class Noting(EverySteps):
    """Notes the steps at which it acts."""

    def __init__(self, every):
        super().__init__(every)
        self.steps = []

    def on_due(self, trainer, pl_module):
        self.steps.append(trainer.global_step)


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def train(folder, every, resume=None, **options):
    noting = Noting(every)
    trainer = pl.Trainer(
        **options,
        accelerator="cpu",
        callbacks=[noting],
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=False,
    )
    batches = DataLoader(torch.ones(7, 1))
    trainer.fit(Line(), batches, ckpt_path=resume, weights_only=True)
    trainer.save_checkpoint(folder / "last.ckpt")
    return noting.steps


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_steps": 5}, [2, 4, 5]),
        ({"max_steps": 4}, [2, 4]),
        # Without a number of steps, the last batch of the last epoch ends them.
        ({"max_epochs": 1}, [2, 4, 6, 7]),
        ({"max_epochs": 2}, [2, 4, 6, 8, 10, 12, 14]),
        # The last batch of an epoch is a step of its own: 4 steps each.
        ({"max_epochs": 2, "accumulate_grad_batches": 2}, [2, 4, 6, 8]),
        ({"max_steps": 3, "accumulate_grad_batches": 2}, [2, 3]),
    ],
)
def test_acts_once_at_every_nth_step_and_the_last(tmp_path, options, expected):
    assert train(tmp_path, 2, **options) == expected


def test_acts_again_only_at_later_steps_after_a_resume(tmp_path):
    assert train(tmp_path, 3, max_epochs=1) == [3, 6, 7]
    steps = train(tmp_path, 3, tmp_path / "last.ckpt", max_epochs=2)
    assert steps == [9, 12, 14]


def test_acts_not_at_the_step_that_is_resumed_from(tmp_path):
    options = {"accumulate_grad_batches": 2}
    assert train(tmp_path, 2, max_steps=4, **options) == [2, 4]
    steps = train(tmp_path, 2, tmp_path / "last.ckpt", max_steps=5, **options)
    assert steps == [5]
