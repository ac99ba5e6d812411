"""Trains the expert that tells whether lips and sound belong together.

    python recipes/train_sync_expert.py --out expert_run
    python recipes/preprocess_faces.py my_videos store --audio
    python recipes/train_sync_expert.py --store store --out expert_run
    python recipes/train_sync_expert.py --data mvlrs_v1 --out expert_run

Features:
- Pairs of lips and sound of one track: half of a batch are in sync, of the others the
  sound is 2 frames to 2 seconds early or late. Everything is at 25 frames per second,
  by the times of the frames, whatever the rate of a video.
- Without --store or --data, a small expert (width 8) learns from built-in demo clips in
  some minutes on two cores. With one, the sizes and the learning rate are Wav2Lip's.
- --data prepares a folder of videos into OUT/store. Of LRS2 (the folder with main/),
  the lists train.txt and val.txt beside main/ decide what is held out.
- --frames 16 for MARLIN's windows, 5 for Wav2Lip's. --weights goes on from an expert.
- A tenth of the videos (of the demo a fifth) is held out: no video is on both sides.
  Its pairs are always the same.
- Tracks without sound, or too short, are named and left out. The sound of your videos
  has to be in sync: see measure_sync.py.
- Kill it at any moment and run it again with --resume: the end state is the same.

OUT holds metrics.csv, validation.csv, checkpoints/, config.yaml, expert/ (for
measure_sync.py --expert, and SyncExpert.from_pretrained), curves.png and offsets.png:
how alike lips and sound of held-out tracks are, by the shift between them.

Exit status: 0 done; 2 bad arguments or input, with one line that says what to do.

- [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild, 2020,
  https://arxiv.org/abs/2008.10010
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from lightly_marlin.lip_sync.pairs.expert_settings import ExpertSettings
from lightly_marlin.training.run_config import check_same_config, write_config
from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, one_line, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.utils.options import add_options

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

    from lightly_marlin.lip_sync import SyncExpert
    from lightly_marlin.lip_sync.pairs.sync_training import SyncTraining
    from lightly_marlin.lip_sync.talking_data import TalkingSplit
    from lightly_marlin.store import FaceStore

USEFUL_LOSS = 0.25
MAX_VALIDATION_PAIRS = 512
NUM_CURVES = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If an option or the input cannot be used.
    """
    settings, resume = parse_arguments(arguments)
    # Only now: --help and wrong options need not wait for torch and Lightning.
    import pytorch_lightning as pl

    from lightly_marlin.demo import open_store
    from lightly_marlin.lip_sync.talking_data import (
        TALKING_DEMO,
        prepare_talking,
        split_talking,
        usable_tracks,
    )
    from lightly_marlin.training.checkpoint import check_checkpoint
    from lightly_marlin.training.trainer_setup import quiet_lightning

    quiet_lightning()
    folder = RunFolder(settings.out)
    if resume:
        check_same_config(folder, settings.plain())
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    expert = build_expert(settings)
    store = (
        open_store(settings.store, **TALKING_DEMO)
        if settings.data is None
        else prepare_talking(settings.data, settings.out / "store")
    )
    split = split_talking(
        store,
        usable_tracks(store, expert.num_frames),
        data=settings.data,
        demo=settings.demo,
        seed=settings.seed,
    )
    checkpoint = folder.open(resume=resume)
    module = build_training(settings, expert, store, split)
    if checkpoint is not None:
        check_checkpoint(checkpoint, module)
    write_config(folder, settings.plain())
    describe(settings, expert, split)
    trainer = make_trainer(settings, folder, store, split, expert.num_frames)
    trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    if trainer.global_step < module.schedule.total_steps:
        return 1
    summarise(folder, expert.eval(), store, split)
    return 0


def parse_arguments(
    arguments: Sequence[str] | None,
) -> tuple[ExpertSettings, bool]:
    """Reads the command line; returns the settings, and whether to resume."""
    parser = RecipeParser(description="Train an expert on the sync of lips and sound.")
    add_options(parser, ExpertSettings)
    parser.add_argument(
        "--resume", action="store_true", help="continue the training in OUT"
    )
    options = vars(parser.parse_args(arguments))
    resume = options.pop("resume")
    return ExpertSettings(**options).completed(), resume


def build_expert(settings: ExpertSettings) -> SyncExpert:
    """Returns the expert to train."""
    from lightly_marlin.lip_sync import SyncExpert
    from lightly_marlin.models import accelerate_cpu

    if settings.weights is None:
        assert settings.width is not None
        return accelerate_cpu(SyncExpert(settings.frames or 5, width=settings.width))
    expert = SyncExpert.from_pretrained(settings.weights)
    if settings.frames not in (None, expert.num_frames):
        raise UsageError(
            f"The expert {settings.weights} sees {expert.num_frames} frames, not "
            f"{settings.frames}. Leave --frames out, or train without --weights."
        )
    return expert.train()


def build_training(
    settings: ExpertSettings, expert: SyncExpert, store: FaceStore, split: TalkingSplit
) -> SyncTraining:
    """Returns the module that Lightning trains."""
    from lightly_marlin.lip_sync import SyncPairs
    from lightly_marlin.lip_sync.pairs.sync_training import SyncTraining

    pairs = SyncPairs(store, split.training, expert.num_frames, seed=settings.seed)
    assert settings.batch_size is not None
    assert settings.max_steps is not None
    assert settings.learning_rate is not None
    return SyncTraining(
        expert,
        pairs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        max_steps=settings.max_steps,
        workers=settings.workers,
    )


def make_trainer(
    settings: ExpertSettings,
    folder: RunFolder,
    store: FaceStore,
    split: TalkingSplit,
    frames: int,
) -> Trainer:
    """Returns Lightning's trainer of the run, on one device."""
    import pytorch_lightning as pl

    from lightly_marlin.lip_sync import FixedSyncPairs, SyncValidation
    from lightly_marlin.lip_sync.pairs.sync_training import METRICS_COLUMNS
    from lightly_marlin.training.callbacks import StepProgress, WriteMetrics
    from lightly_marlin.training.checkpoint import LastCheckpoint, RunCheckpointIO

    assert settings.batch_size is not None
    assert settings.max_steps is not None
    tracks = split.held_out or split.training
    pairs = FixedSyncPairs(
        store,
        tracks[: max(1, MAX_VALIDATION_PAIRS // settings.pairs_per_track)],
        frames,
        pairs_per_track=settings.pairs_per_track,
        seed=settings.seed,
    )
    every, batch = settings.log_every, settings.batch_size
    return pl.Trainer(
        max_steps=settings.max_steps,
        max_epochs=-1,
        accelerator="auto",
        devices=1,
        default_root_dir=folder.path,
        logger=False,
        plugins=[RunCheckpointIO(folder, None)],
        callbacks=[
            WriteMetrics(folder, batch, every, METRICS_COLUMNS),
            SyncValidation(
                folder.validation,
                pairs,
                folder.path / "expert",
                batch_size=batch,
                every=settings.validate_every,
            ),
            LastCheckpoint(folder, settings.save_every),
            StepProgress(every, "loss"),
        ],
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def describe(settings: ExpertSettings, expert: SyncExpert, split: TalkingSplit) -> None:
    """Prints what is about to happen."""
    table = Table(title="Sync expert", show_header=False)
    rows = {
        "expert": f"{expert.num_frames} frames, width {expert.width}",
        "data": settings.store or settings.data or "built-in demo clips",
        "tracks": f"{len(split.training)} to train on, {len(split.held_out)} held out",
        "batch": f"{settings.batch_size} pairs, half of them in sync",
        "learning rate": f"up to {settings.learning_rate:.3g}, cosine to step "
        f"{settings.max_steps}",
        "run folder": f"{settings.out}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    if not split.held_out:
        console.print("Too few videos to hold one out: validating on training tracks.")


def summarise(
    folder: RunFolder, expert: SyncExpert, store: FaceStore, split: TalkingSplit
) -> None:
    """Draws the pictures, and prints the last validation beside chance."""
    from lightly_marlin.lip_sync.pairs.sync_training import (
        METRICS_COLUMNS,
        VALIDATION_COLUMNS,
    )
    from lightly_marlin.visualization.expert_curves import expert_curves

    metrics = MetricsCsv(folder.metrics, METRICS_COLUMNS).rows()
    rows = MetricsCsv(folder.validation, VALIDATION_COLUMNS).rows()
    with atomic_write(folder.path / "curves.png") as temporary:
        expert_curves(metrics, rows, folder.path.resolve().name).save(temporary)
    loss, accuracy = float(rows[-1]["loss"]), float(rows[-1]["accuracy"])
    on = "held-out" if split.held_out else "training"
    table = Table("", "expert", "chance", title=f"after {rows[-1]['step']} steps")
    table.add_row(f"loss of {on} pairs", f"{loss:.3f}", "0.693")
    table.add_row(f"accuracy on {on} pairs", f"{accuracy:.1%}", "50.0%")
    found = draw_offsets(folder, expert, store, split.held_out or split.training)
    if found is not None:
        table.add_row(f"{on} tracks whose offset is found at 0", found, "")
    console.print(table)
    if loss > USEFUL_LOSS:
        console.print(
            f"A loss above {USEFUL_LOSS} is of little use to train a generator with, "
            "as Wav2Lip's authors found: train longer, or on more videos.",
            soft_wrap=True,
        )
    text = f"The expert is in {folder.path / 'expert'}"
    console.print(text, markup=False, soft_wrap=True)


def draw_offsets(
    folder: RunFolder, expert: SyncExpert, store: FaceStore, tracks: Sequence[str]
) -> str | None:
    """Draws the curves of some tracks; returns how many have their offset at 0."""
    from lightly_marlin.lip_sync import track_curve
    from lightly_marlin.visualization import sync_curve

    curves = {}
    for index in store.indices_of(tracks)[:NUM_CURVES]:
        track = store[index]
        curve = track_curve(expert, track)
        if curve is not None:
            curves[track.track_id] = curve
    if not curves:
        return None
    drawn = {one_line(n): 1 - c.similarity.double().numpy() for n, c in curves.items()}
    picture = sync_curve(drawn, "distance (1 - mean cosine) of lips and sound")
    with atomic_write(folder.path / "offsets.png") as temporary:
        picture.save(temporary)
    found = sum(curve.offset == 0 for curve in curves.values())
    return f"{found} of {len(curves)}"


if __name__ == "__main__":
    sys.exit(run_recipe(main, "evaluation"))
