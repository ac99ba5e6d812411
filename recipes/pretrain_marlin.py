"""Pretrains MARLIN on a face store, or on the built-in demo clips.

    python recipes/pretrain_marlin.py --model marlin_vit_tiny --out run
    python recipes/pretrain_marlin.py --store STORE --model marlin_vit_base --out run

Features:
    - Fasking, CRFR-P, tube, frame, random and motion-guided masks, drawn on the device;
      mixtures of two with a schedule (`--mask fasking+tube`); `--decode-ratio 0.5`
      decodes half of the masked tokens, by running cells.
    - One generator forward per step for the reconstruction and the adversarial loss.
    - float32 and bf16-mixed; one device or several (DDP).
    - `--resume` continues as if the training had never stopped.
    - `--min-face 64 --max-yaw 45` and the like choose tracks by their quality.
    - Settings come from recipes/configs/MODEL.yaml, then --config, then options.

The run folder holds metrics.csv, validation.csv, checkpoints/last.ckpt, model/ (for
`Marlin.from_pretrained`), reconstructions/step_*.png, config.yaml and TensorBoard logs.

Exit status: 0 done, 2 bad arguments or input with one line that says what to do.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import Dataset, Subset

from lightly_marlin.data import FaceClip, FaceClips
from lightly_marlin.demo import open_store
from lightly_marlin.models import list_models
from lightly_marlin.store import (
    FaceStore,
    TrackFilter,
    add_filter_options,
    split_tracks,
)
from lightly_marlin.training.callbacks import SaveRun, StepProgress, WriteMetrics
from lightly_marlin.training.marlin_pretraining import MarlinPretraining
from lightly_marlin.training.report import describe_run, summarise_run
from lightly_marlin.training.resume import check_checkpoint
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.settings import (
    PRECISIONS,
    PretrainSettings,
    read_settings,
    write_settings,
)
from lightly_marlin.training.settings_parts import masking_of, schedule_of
from lightly_marlin.training.validation import Validation
from lightly_marlin.transforms import mask_names
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError

CONFIGS = Path(__file__).parent / "configs"
MAX_VALIDATION_CLIPS = 16


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options; those not given are absent, so that files can set them."""
    parser = RecipeParser(
        description="Pretrain MARLIN on a face store, or on the built-in demo clips.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--store", help="made by preprocess_faces.py; default: built-in demo clips"
    )
    parser.add_argument("--model", help=f"one of {', '.join(list_models())}")
    parser.add_argument("--out", help="folder of the run, default: run")
    parser.add_argument("--config", type=Path, help="YAML file of settings")
    parser.add_argument("--weights", help="checkpoint to start from")
    parser.add_argument("--resume", action="store_true", help="continue the run in OUT")
    parser.add_argument("--batch-size", type=int, help="clips a step and device")
    parser.add_argument("--max-steps", type=int, help="stop after this many steps")
    parser.add_argument("--epochs", type=int, help="length of the training")
    parser.add_argument(
        "--schedule-steps", type=int, help="steps of the schedule instead of --epochs"
    )
    parser.add_argument("--warmup-steps", type=int, help="instead of warmup_epochs")
    parser.add_argument(
        "--base-learning-rate", type=float, help="highest rate, for 256 clips a step"
    )
    parser.add_argument("--mask", help=f"one of {', '.join(mask_names())}, or two: A+B")
    parser.add_argument(
        "--mask-share", type=float, help="of A in a mixture A+B, default: 0.5"
    )
    parser.add_argument(
        "--mask-share-end", type=float, help="share of A after --mask-share-steps"
    )
    parser.add_argument("--mask-share-steps", type=int, help="steps between the two")
    parser.add_argument(
        "--decode-ratio", type=float, help="share of masked tokens to decode, default 1"
    )
    parser.add_argument("--mask-ratio", type=float, help="in (0, 1), default: 0.9")
    parser.add_argument("--mask-mode", help="of Fasking: tubelet (default) or tube")
    parser.add_argument(
        "--mask-order",
        help="of Fasking: components_masked_first (default), components_visible_first",
    )
    parser.add_argument("--adversarial-weight", type=float, help="0 turns it off")
    parser.add_argument(
        "--gradient-penalty-weight", type=float, help="of the discriminator, default: 0"
    )
    parser.add_argument(
        "--discriminator-rate", type=float, help="times the learning rate, default: 1"
    )
    parser.add_argument("--precision", help=f"one of {', '.join(PRECISIONS)}")
    parser.add_argument("--devices", type=int, help="number of devices, default: 1")
    parser.add_argument("--workers", type=int, help="loader processes a device")
    parser.add_argument("--demo-clips", type=int, help="number, without --store")
    parser.add_argument("--demo-frames", type=int, help="frames of each, 16 or more")
    parser.add_argument("--seed", type=int, help="default: 0")
    for name in ("log", "save", "validate"):
        parser.add_argument(f"--{name}-every", type=int, help="steps")
    add_filter_options(parser)
    return parser.parse_args(arguments)


def collect_settings(options: dict[str, Any]) -> PretrainSettings:
    """Merges MODEL.yaml (or, resuming, the run's config.yaml), --config and options."""
    files = [options.pop("config")] if "config" in options else []
    resume = options.pop("resume", False)
    if "epochs" in options:
        # The wish of the command line comes before a file's other ways to end.
        options = {"schedule_steps": None, "max_steps": None, **options}
    given = read_settings(files, options)
    saved = RunFolder(Path(given.out)).config
    if resume and saved.exists():
        before = read_settings([saved], {})
        if "model" in options and given.model != before.model:
            raise UsageError(
                f"The run in {saved.parent} trains {before.model}, not {given.model}. "
                "Resume without --model, or choose another --out."
            )
        return read_settings([saved, *files], options)
    base = CONFIGS / f"{given.model}.yaml"
    return read_settings([base, *files], {"model": given.model, **options})


def main(arguments: Sequence[str] | None = None) -> int:
    """Pretrains as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If an option or the input cannot be used.
    """
    options = vars(parse_arguments(arguments))
    resume = options.get("resume", False)
    settings = collect_settings(options)
    check_devices(settings.devices)
    folder = RunFolder(Path(settings.out))
    # The trainer starts this program again for every further device.
    leader = int(os.environ.get("LOCAL_RANK", 0)) == 0
    checkpoint = folder.open(resume=resume or not leader)
    quiet_lightning()
    pl.seed_everything(settings.seed, workers=True, verbose=False)

    store = open_store(
        settings.store,
        demo_clips=settings.demo_clips,
        demo_frames=settings.demo_frames,
    )
    tracks = select_tracks(store, settings)
    training, held_out = split_tracks(
        store, settings.held_out, seed=settings.seed, tracks=tracks
    )
    clips = FaceClips(
        store, stride=settings.stride, tracks=training, seed=settings.seed
    )
    schedule = schedule_of(settings, len(clips))
    max_steps = settings.max_steps or schedule.total_steps
    # A checkpoint holds all weights, so those that the run began with may be gone.
    weights = settings.weights if checkpoint is None else None
    module = MarlinPretraining(settings, clips, schedule, weights)
    if checkpoint is not None:
        check_checkpoint(checkpoint, module)
    if leader:
        write_settings(settings, folder.config)
        describe_run(settings, len(clips), len(held_out), schedule, max_steps)
    trainer = pl.Trainer(
        max_steps=max_steps,
        max_epochs=-1,
        precision=settings.precision,  # type: ignore[arg-type]
        accelerator="auto",
        devices=settings.devices,
        strategy="ddp_find_unused_parameters_true" if settings.devices > 1 else "auto",
        logger=TensorBoardLogger(settings.out, name="", version="tensorboard"),
        callbacks=[
            WriteMetrics(
                folder, settings.batch_size * settings.devices, settings.log_every
            ),
            Validation(
                folder,
                module.model,
                validation_clips(store, held_out or training, settings.stride),
                masking_of(settings, module.model.config),
                batch_size=settings.batch_size,
                every=settings.validate_every,
            ),
            SaveRun(folder, module.model, settings.save_every),
            StepProgress(settings.log_every),
        ],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    if leader:
        summarise_run(folder, trainer.global_step)
    return 0 if trainer.global_step >= max_steps else 1


def check_devices(wanted: int) -> None:
    """Raises UsageError if there are fewer GPUs (without any: cores) than wanted."""
    gpus = torch.cuda.device_count()
    available = gpus or os.cpu_count() or 1
    if wanted > available:
        raise UsageError(
            f"{wanted} devices are asked for, but there are {available} "
            f"{'GPUs' if gpus else 'cores and no GPU'}. Lower --devices."
        )


def select_tracks(store: FaceStore, settings: PretrainSettings) -> list[str]:
    """Returns the tracks that are within the limits; says how many where there are."""
    track_filter = TrackFilter.from_options(vars(settings))
    tracks = track_filter.select(store)
    if track_filter.limits():
        console.print(f"{len(tracks)} of {len(store)} tracks are within the limits.")
    return tracks


def validation_clips(
    store: FaceStore, tracks: Sequence[str], stride: int
) -> Dataset[FaceClip]:
    """Returns the middle of up to 16 tracks."""
    clips = FaceClips(store, stride=stride, start="center", tracks=tracks)
    return Subset(clips, range(min(len(clips), MAX_VALIDATION_CLIPS)))


def quiet_lightning() -> None:
    """Silences notices that say nothing about this training."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    # The sampler itself continues at the right clip.
    warnings.filterwarnings("ignore", ".*mid-epoch.*")
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    # The advice of CSV and progress loggers is for automatic optimisation.
    warnings.filterwarnings("ignore", ".*LeafSpec.*")


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
