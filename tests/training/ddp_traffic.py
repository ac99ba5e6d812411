"""Pretraining in two processes that counts what they send: run by test_ddp_traffic.py.

    python ddp_traffic.py STORE OUT OBJECTIVES

Writes OUT/traffic-RANK.json: bytes of the gradients' buckets and of each reduction that
is asked for beside them, and the losses of the steps.
"""

import json
import os
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from small_marlin import SMALL

from lightly_marlin.data import FaceClips
from lightly_marlin.models import Marlin
from lightly_marlin.store import FaceStore
from lightly_marlin.training import gradient_average
from lightly_marlin.training import marlin_pretraining as module
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.schedule import WarmupCosine
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.training.trainer_setup import pretraining_trainer

STEPS = 4
buckets, reductions, losses = [], [], []


def count_bucket(state, bucket):
    """Averages a bucket as DDP would, and notes its size."""
    buckets.append(bucket.buffer().nbytes)
    work = dist.all_reduce(bucket.buffer().div_(dist.get_world_size()), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


class Counted(pl.Callback):
    """Counts reductions of a training once it has begun."""

    def on_train_start(self, trainer, pl_module):
        trainer.strategy.model.register_comm_hook(None, count_bucket)
        mean = gradient_average.mean_over_processes

        def counted(tensor):
            reductions.append(tensor.nbytes)
            return mean(tensor)

        gradient_average.mean_over_processes = counted
        module.mean_over_processes = counted

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        losses.append({name: float(value) for name, value in outputs.items()})


def main():
    store, out, objectives = sys.argv[1:]
    module.create_marlin = lambda name, weights, img_size: Marlin(SMALL)
    # Every process begins with a critic of its own.
    pl.seed_everything(int(os.environ.get("LOCAL_RANK", 0)), verbose=False)
    settings = PretrainSettings(
        model="marlin_vit_tiny",
        batch_size=1,
        workers=0,
        devices="2",
        log_every=2,
        objectives=objectives,
    )
    schedule = WarmupCosine(1e-3, 1e-5, warmup_steps=0, total_steps=8)
    clips = FaceClips(FaceStore(store))
    trained = module.MarlinPretraining(settings, clips, schedule, world_size=2)
    folder = RunFolder(Path(out) / "run")
    trainer = pretraining_trainer(trained, folder, None, [Counted()], STEPS)
    assert isinstance(trainer.strategy, DDPStrategy)
    trainer.fit(trained)
    sizes = {
        name: sum(p.nbytes for p in part.parameters() if p.requires_grad)
        for name, part in (("model", trained.model), ("critic", trained.discriminator))
        if part is not None
    }
    weights = [float(p.double().abs().sum()) for p in trained.parameters()]
    found = {
        "buckets": buckets,
        "reductions": reductions,
        "losses": losses,
        "sizes": sizes,
        "weights": weights,
    }
    Path(out, f"traffic-{trainer.global_rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
