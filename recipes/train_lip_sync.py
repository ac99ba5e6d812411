"""Trains a generator that draws lips to a sound, with any MARLIN encoder.

    python recipes/train_lip_sync.py --expert demo_expert/expert --out lip_sync_run
    python recipes/train_lip_sync.py --store S --encoder-weights W --expert E --out R
    python recipes/train_lip_sync.py --data mvlrs_v1 --generator wav2lip --expert E

Use it on people who have agreed alone: see docs/lip_sync.md. The videos that it writes
say in their metadata that lips were generated.

Features:
- The generator of MARLIN's paper, as far as it is known: an encoder on windows of 16
  frames in place of Wav2Lip's. --generator wav2lip trains the peer without it.
- --encoder-weights takes what --weights takes elsewhere; without it, the encoder begins
  at random. --tune frozen leaves it as it is; else its layers learn the slower the
  nearer they are to the pixels (--layer-decay).
- Losses: L1 on whole faces, on their lower halves and on mouths (--mouth-weight); the
  sync loss of a frozen expert (--expert), which is switched on when held-out clips are
  good enough; a critic of pictures (--critic-weight 0.07). Without an expert, sync is
  not trained, and not measured.
- With an expert, the offset of every track is measured first, and those out of sync are
  named and left out (offsets.csv, --max-offset).
- Without --store or --data, a tiny generator learns from built-in demo clips in some
  minutes on two cores. --data prepares a folder of videos into OUT/store; of LRS2, the
  lists train.txt and val.txt decide what is held out.
- Kill it at any moment and run it again with --resume: the end state is the same.

OUT holds metrics.csv, validation.csv, checkpoints/, config.yaml, curves.png, generator/
(for dub.py --model), and of every validation pictures/ (real, masked, generated) and
clips/ (the same as a video with sound).

Exit status: 0 done; 2 bad arguments or input, with one line that says what to do.

- [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild, 2020,
  https://arxiv.org/abs/2008.10010
- [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from lightly_marlin.lip_sync.generation.generator_settings import GeneratorSettings
from lightly_marlin.training.run_config import check_same_config, write_config
from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.utils.options import add_options

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

    from lightly_marlin.lip_sync import SyncExpert
    from lightly_marlin.lip_sync.dubbing.lip_stream import AnyGenerator
    from lightly_marlin.lip_sync.generation.generator_training import LipSyncTraining
    from lightly_marlin.lip_sync.generation.lip_clips import ClipSizes
    from lightly_marlin.lip_sync.talking_data import TalkingSplit
    from lightly_marlin.store import FaceStore

FRAMES_OF_ANY = 16
"""Frames of a clip for a generator that takes any number."""

MAX_VALIDATION_CLIPS = 64


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
    from lightly_marlin.lip_sync.talking_data import TALKING_DEMO, prepare_talking
    from lightly_marlin.training.checkpoint import check_checkpoint
    from lightly_marlin.training.trainer_setup import quiet_lightning

    quiet_lightning()
    folder = RunFolder(settings.out)
    if resume:
        check_same_config(folder, settings.plain())
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    generator = build_generator(settings)
    expert = load_expert(settings, generator)
    store = (
        open_store(settings.store, **TALKING_DEMO)
        if settings.data is None
        else prepare_talking(settings.data, settings.out / "store")
    )
    sizes = sizes_of(generator, expert)
    checkpoint = folder.open(resume=resume)
    split = split_store(store, settings, folder, expert, sizes)
    module = build_training(settings, generator, expert, store, split, sizes)
    if checkpoint is not None:
        check_checkpoint(checkpoint, module)
    write_config(folder, settings.plain())
    describe(settings, generator, expert, split)
    trainer = make_trainer(settings, folder, store, split, sizes)
    trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    if trainer.global_step < module.schedule.total_steps:
        return 1
    summarise(folder, split)
    return 0


def parse_arguments(
    arguments: Sequence[str] | None,
) -> tuple[GeneratorSettings, bool]:
    """Reads the command line; returns the settings, and whether to resume."""
    parser = RecipeParser(
        description="Train a generator of lips. Only for people who have agreed."
    )
    add_options(parser, GeneratorSettings)
    parser.add_argument(
        "--resume", action="store_true", help="continue the training in OUT"
    )
    options = vars(parser.parse_args(arguments))
    resume = options.pop("resume")
    return GeneratorSettings(**options).completed(), resume


def build_generator(settings: GeneratorSettings) -> AnyGenerator:
    """Returns the generator to train."""
    from lightly_marlin.lip_sync import (
        LipSyncGenerator,
        Wav2LipGenerator,
        load_generator,
    )
    from lightly_marlin.models import accelerate_cpu, create_marlin_encoder
    from lightly_marlin.models.loading import load_encoder

    generator: AnyGenerator
    assert settings.width is not None or settings.weights is not None
    try:
        if settings.weights is not None:
            generator = load_generator(settings.weights)
        elif settings.generator == "wav2lip":
            generator = accelerate_cpu(Wav2LipGenerator(settings.width))
        else:
            if settings.encoder_weights is not None:
                encoder = load_encoder(settings.encoder_weights)
            else:
                assert settings.model is not None
                encoder = create_marlin_encoder(
                    settings.model, img_size=settings.image_size
                )
            generator = accelerate_cpu(
                LipSyncGenerator(
                    encoder, size=settings.size, audio_width=settings.width
                )
            )
    except ValueError as error:
        raise UsageError(str(error)) from error
    generator.train()
    return generator


def load_expert(
    settings: GeneratorSettings, generator: AnyGenerator
) -> SyncExpert | None:
    """Returns the expert, which fits the clips of the generator."""
    from lightly_marlin.lip_sync import SyncExpert

    if settings.expert is None:
        return None
    expert = SyncExpert.from_pretrained(settings.expert)
    frames = generator.num_frames or FRAMES_OF_ANY
    if expert.num_frames > frames:
        raise UsageError(
            f"The expert {settings.expert} sees {expert.num_frames} frames, and a clip "
            f"of the generator has {frames}. Train an expert with --frames {frames}."
        )
    return expert


def sizes_of(generator: AnyGenerator, expert: SyncExpert | None) -> ClipSizes:
    """Returns what to read of a clip."""
    from lightly_marlin.lip_sync.generation.lip_clips import ClipSizes

    frames = generator.num_frames or FRAMES_OF_ANY
    sizes = ClipSizes(frames, generator.input_size)
    if expert is None:
        return sizes
    return sizes._replace(
        expert_frames=expert.num_frames, expert_steps=expert.mel_steps
    )


def split_store(
    store: FaceStore,
    settings: GeneratorSettings,
    folder: RunFolder,
    expert: SyncExpert | None,
    sizes: ClipSizes,
) -> TalkingSplit:
    """Divides the tracks that are long enough and in sync, and names the others."""
    from lightly_marlin.lip_sync.measures.tracks_in_sync import (
        measure_offsets,
        tracks_in_sync,
    )
    from lightly_marlin.lip_sync.talking_data import (
        print_left_out,
        split_talking,
        usable_tracks,
    )

    tracks = usable_tracks(store, sizes.num_frames)
    if expert is not None:
        offsets = measure_offsets(expert, store, tracks, folder.path / "offsets.csv")
        tracks, reasons = tracks_in_sync(offsets, settings.max_offset)
        print_left_out(reasons)
        if not tracks:
            raise UsageError(
                f"None of the {len(offsets)} tracks is in sync by the expert "
                f"{settings.expert}, see {folder.path / 'offsets.csv'}: train it "
                "longer, or allow more with --max-offset."
            )
    return split_talking(
        store, tracks, data=settings.data, demo=settings.demo, seed=settings.seed
    )


def build_training(
    settings: GeneratorSettings,
    generator: AnyGenerator,
    expert: SyncExpert | None,
    store: FaceStore,
    split: TalkingSplit,
    sizes: ClipSizes,
) -> LipSyncTraining:
    """Returns the module that Lightning trains."""
    from lightly_marlin.lip_sync import LipSyncL1Loss, SyncWeight
    from lightly_marlin.lip_sync.generation.generator_training import LipSyncTraining
    from lightly_marlin.lip_sync.generation.lip_clips import LipClips
    from lightly_marlin.lip_sync.networks.image_critic import ImageCritic
    from lightly_marlin.models import accelerate_cpu
    from lightly_marlin.training import WarmupCosine

    assert settings.learning_rate is not None
    assert settings.warmup_steps is not None
    assert settings.max_steps is not None
    assert settings.batch_size is not None
    assert settings.sync_weight is not None
    assert settings.sync_threshold is not None
    assert settings.mouth_weight is not None
    assert settings.layer_decay is not None
    width = generator.settings().get("width") or generator.settings()["audio_width"]
    return LipSyncTraining(
        generator,
        LipClips(store, split.training, sizes, seed=settings.seed),
        batch_size=settings.batch_size,
        schedule=WarmupCosine(
            settings.learning_rate,
            0.0,
            min(settings.warmup_steps, settings.max_steps),
            settings.max_steps,
        ),
        l1_loss=LipSyncL1Loss(1.0, settings.lower_weight, settings.mouth_weight),
        expert=expert,
        sync_weight=SyncWeight(settings.sync_weight, settings.sync_threshold),
        critic=accelerate_cpu(ImageCritic(width)) if settings.critic_weight else None,
        critic_weight=settings.critic_weight,
        tune_encoder=settings.tune == "all",
        layer_decay=settings.layer_decay,
        weight_decay=settings.weight_decay,
        workers=settings.workers,
    )


def make_trainer(
    settings: GeneratorSettings,
    folder: RunFolder,
    store: FaceStore,
    split: TalkingSplit,
    sizes: ClipSizes,
) -> Trainer:
    """Returns Lightning's trainer of the run, on one device."""
    from lightly_marlin.lip_sync.generation.generator_training import METRICS_COLUMNS
    from lightly_marlin.lip_sync.generation.generator_validation import (
        LipSyncValidation,
    )
    from lightly_marlin.lip_sync.generation.lip_clips import FixedLipClips
    from lightly_marlin.training.callbacks import StepProgress, WriteMetrics
    from lightly_marlin.training.trainer_setup import one_device_trainer

    assert settings.batch_size is not None
    assert settings.max_steps is not None
    assert settings.validate_every is not None
    tracks = split.held_out or split.training
    clips = FixedLipClips(
        store,
        tracks[: max(1, MAX_VALIDATION_CLIPS // settings.clips_per_track)],
        sizes,
        clips_per_track=settings.clips_per_track,
    )
    every, batch = settings.log_every, settings.batch_size
    return one_device_trainer(
        folder,
        settings.max_steps,
        settings.save_every,
        [
            WriteMetrics(folder, batch, every, METRICS_COLUMNS),
            LipSyncValidation(
                folder.path, clips, batch_size=batch, every=settings.validate_every
            ),
            StepProgress(every, "l1"),
        ],
    )


def describe(
    settings: GeneratorSettings,
    generator: AnyGenerator,
    expert: SyncExpert | None,
    split: TalkingSplit,
) -> None:
    """Prints what is about to happen."""
    table = Table(title="Generator of lips", show_header=False)
    begin = settings.weights or settings.encoder_weights or "random"
    sync = "not trained, not measured: no --expert"
    if expert is not None:
        sync = (
            f"expert of {expert.num_frames} frames; weight {settings.sync_weight} once "
            f"its held-out loss is below {settings.sync_threshold}"
        )
    rows = {
        "generator": f"{type(generator).__name__}, {generator.size} pixels, {begin}",
        "encoder": f"{settings.tune}" if settings.generator == "marlin" else "its own",
        "data": settings.store or settings.data or "built-in demo clips",
        "tracks": f"{len(split.training)} to train on, {len(split.held_out)} held out",
        "sync": sync,
        "critic": f"weight {settings.critic_weight}"
        if settings.critic_weight
        else "none",
        "batch": f"{settings.batch_size} clips",
        "learning rate": f"up to {settings.learning_rate:.3g}, cosine to step "
        f"{settings.max_steps}",
        "run folder": f"{settings.out}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    if not split.held_out:
        console.print("Too few videos to hold one out: validating on training tracks.")


def summarise(folder: RunFolder, split: TalkingSplit) -> None:
    """Draws the curves, and prints the last validation beside what it is held to."""
    from lightly_marlin.lip_sync.generation.generator_training import METRICS_COLUMNS
    from lightly_marlin.lip_sync.generation.generator_validation import (
        VALIDATION_COLUMNS,
    )
    from lightly_marlin.visualization.generator_curves import generator_curves

    metrics = MetricsCsv(folder.metrics, METRICS_COLUMNS).rows()
    rows = MetricsCsv(folder.validation, VALIDATION_COLUMNS).rows()
    with atomic_write(folder.path / "curves.png") as temporary:
        generator_curves(metrics, rows, folder.path.resolve().name).save(temporary)
    last = {name: float(value) for name, value in rows[-1].items()}
    on = "held-out" if split.held_out else "training"
    title = f"{on} clips after {last['step']:.0f} steps"
    table = Table("", "generated", "beside", "better in", title=title)
    table.add_row(
        "error of the mouth",
        f"{last['mouth']:.4f}",
        f"{last['still_mouth']:.4f} (mean of the track's other frames)",
        f"{last['mouth_better']:.0%}",
    )
    table.add_row(
        "",
        "",
        f"{last['other_mouth']:.4f} (with the sound of another track)",
        f"{last['sound_better']:.0%}",
    )
    if last["sync"] == last["sync"]:
        table.add_row(
            "cosine of lips and their sound",
            f"{last['sync']:.3f}",
            f"{last['other_sync']:.3f} (with the sound of another track)",
            f"{last['sync_better']:.0%}",
        )
    console.print(table)
    text = f"The generator is in {folder.path / 'generator'}"
    console.print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(run_recipe(main, "evaluation"))
