"""Pretraining that notes the clips and masks of its steps: run by test_world_size.py.

    python noted_steps.py STORE OUT DEVICES STEPS

Continues what is in OUT/run, with two clips a step on any number of devices. Writes
OUT/run/steps-DEVICES-RANK.jsonl, a line for each clip, and losses-*.jsonl, one for each
step.
"""

import hashlib
import json
import sys
from pathlib import Path

import pytorch_lightning as pl
from small_marlin import SMALL

from lightly_marlin.data import FaceClips
from lightly_marlin.models import Marlin
from lightly_marlin.store import FaceStore
from lightly_marlin.training import marlin_pretraining as module
from lightly_marlin.training.checkpoint import LastCheckpoint
from lightly_marlin.training.processes import is_leader
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.schedule import WarmupCosine
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.training.trainer_setup import pretraining_trainer

CLIPS_PER_STEP = 2


def digest(tensor):
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()[:16]


class Noted(module.MarlinPretraining):
    """Notes what goes into a step and what comes out of it."""

    def note(self, name, **values):
        trainer = self.trainer
        place = f"{name}-{trainer.world_size}-{trainer.global_rank}.jsonl"
        with Path(trainer.default_root_dir, place).open("a") as file:
            file.write(json.dumps(values) + "\n")

    def _masked(self, batch, step):
        places = self._positions(len(batch["video"])).tolist()
        masked, *masks = super()._masked(batch, step)
        for row, place in enumerate(places):
            self.note(
                "steps",
                step=step,
                position=place,
                track=batch["track_id"][row],
                start=int(batch["start"][row]),
                mask=[digest(part[row]) for part in masks],
                clip=digest(masked["video"][row]),
            )
        return masked, *masks

    def training_step(self, batch, batch_idx):
        losses = super().training_step(batch, batch_idx)
        self.note("losses", **{name: float(x) for name, x in losses.items()})
        return losses


def main():
    store, out, devices, steps = sys.argv[1:]
    module.create_marlin = lambda name, weights, img_size: Marlin(SMALL)
    pl.seed_everything(0, verbose=False)
    settings = PretrainSettings(
        model="marlin_vit_tiny",
        batch_size=CLIPS_PER_STEP // int(devices),
        workers=0,
        devices=devices,
        log_every=1,
        gradient_penalty_weight=10.0,
        mask="fasking+crfrp",
        flip=0.5,
        seed=3,
    )
    schedule = WarmupCosine(1e-3, 1e-5, warmup_steps=0, total_steps=8)
    clips = FaceClips(FaceStore(store), seed=3)
    trained = Noted(settings, clips, schedule, world_size=int(devices))
    folder = RunFolder(Path(out) / "run")
    checkpoint = folder.open(resume=True, leader=is_leader())
    callbacks = [LastCheckpoint(folder, every=100)]
    trainer = pretraining_trainer(trained, folder, None, callbacks, int(steps))
    trainer.fit(trained, ckpt_path=checkpoint, weights_only=True)


if __name__ == "__main__":
    main()
