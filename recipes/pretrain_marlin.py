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
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader, Dataset, Subset

from lightly_marlin.data import (
    FaceClip,
    FaceClips,
    FaceStore,
    ResumableClipSampler,
    TrackFilter,
    add_filter_options,
    open_store,
    split_tracks,
)
from lightly_marlin.models import (
    MarlinConfig,
    MarlinDiscriminator,
    create_marlin,
    list_models,
)
from lightly_marlin.training import (
    MASKS,
    BatchMasking,
    PretrainStep,
    WarmupCosine,
    scale_rate,
)
from lightly_marlin.training.callbacks import SaveRun, StepProgress, WriteMetrics
from lightly_marlin.training.report import describe_run, summarise_run
from lightly_marlin.training.resume import check_checkpoint
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.settings import (
    PRECISIONS,
    PretrainSettings,
    read_settings,
    write_settings,
)
from lightly_marlin.training.validation import Validation
from lightly_marlin.transforms import MixtureSchedule
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
    parser.add_argument("--mask", help=f"one of {', '.join(MASKS)}, or two: A+B")
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


class MarlinPretraining(pl.LightningModule):
    """Trains a Marlin and its discriminator by manual optimisation."""

    def __init__(
        self,
        settings: PretrainSettings,
        clips: FaceClips,
        schedule: WarmupCosine,
        weights: str | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.settings = settings
        self.clips = clips
        self.schedule = schedule
        self.model = create_marlin(settings.model, weights=weights)
        config = self.model.config
        self.discriminator = (
            MarlinDiscriminator(config.patch_dim, 4 * config.decoder_dim)
            if settings.adversarial_weight > 0
            else None
        )
        self.masking = make_masking(settings, config, settings.decode_ratio)

    def configure_optimizers(self) -> list[Optimizer]:
        """Returns the optimizers of the model and of the discriminator."""
        modules = [self.model, self.discriminator]
        return [
            AdamW(
                module.parameters(),
                lr=0.0,
                betas=(self.settings.beta1, self.settings.beta2),
                weight_decay=self.settings.weight_decay,
            )
            for module in modules
            if module is not None
        ]

    def on_fit_start(self) -> None:
        """Joins model, discriminator and optimizers to a step."""
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        self.pretrain_step = PretrainStep(
            self.model,
            self.discriminator,
            optimizers[0],  # type: ignore[arg-type]
            # Unwrapped, so that the trainer counts one step per batch, not two.
            optimizers[1].optimizer if len(optimizers) > 1 else None,
            adversarial_weight=self.settings.adversarial_weight,
            gradient_penalty_weight=self.settings.gradient_penalty_weight,
            backward=self.manual_backward,
        )

    def train_dataloader(self) -> DataLoader[FaceClip]:
        """Returns the clips from the one on at which the training stands."""
        per_step = self.settings.batch_size * self.settings.devices
        sampler = ResumableClipSampler(
            len(self.clips),
            seed=self.settings.seed,
            start_sample=self.trainer.global_step * per_step,
            rank=self.global_rank,
            world_size=self.settings.devices,
        )
        return DataLoader(
            self.clips,
            batch_size=self.settings.batch_size,
            sampler=sampler,
            num_workers=self.settings.workers,
            persistent_workers=self.settings.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def training_step(
        self, batch: dict[str, Any], batch_idx: int
    ) -> dict[str, torch.Tensor | float]:
        """Updates both networks by one batch."""
        step = self.trainer.global_step
        rate = self.schedule(step)
        factors = (1.0, self.settings.discriminator_rate)
        for optimizer, factor in zip(self.trainer.optimizers, factors, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        idx_keep, idx_mask = self.masking(
            batch["regions"], step, self.global_rank, batch["video"]
        )
        seed = self.settings.seed + step * self.settings.devices + self.global_rank
        noise = torch.Generator(self.device).manual_seed(seed)
        losses = self.pretrain_step(batch["video"], idx_keep, idx_mask, noise)
        return {
            "loss/reconstruction": losses.reconstruction,
            "loss/generator_adversarial": losses.generator_adversarial,
            "loss/discriminator": losses.discriminator,
            "lr": rate,
        }


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
    schedule = make_schedule(settings, len(clips))
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
                make_masking(settings, module.model.config),
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


def make_schedule(settings: PretrainSettings, num_clips: int) -> WarmupCosine:
    """Returns the schedule, with epochs turned into steps."""
    total_batch = settings.batch_size * settings.devices
    rates = (settings.base_learning_rate, settings.min_learning_rate)
    if settings.scale_rates:
        rates = (scale_rate(rates[0], total_batch), scale_rate(rates[1], total_batch))
    steps_per_epoch = max(1, num_clips // total_batch)
    total_steps = settings.schedule_steps or settings.epochs * steps_per_epoch
    warmup_steps = settings.warmup_steps
    if warmup_steps is None:
        warmup_steps = settings.warmup_epochs * steps_per_epoch
    return WarmupCosine(
        highest=rates[0],
        minimum=rates[1],
        warmup_steps=min(warmup_steps, total_steps),
        total_steps=total_steps,
    )


def make_masking(
    settings: PretrainSettings, config: MarlinConfig, decode_ratio: float = 1.0
) -> BatchMasking:
    """Returns the masking strategy for a model's token grid."""
    end = settings.mask_share_end
    schedule = MixtureSchedule(
        (settings.mask_share, 1 - settings.mask_share),
        None if end is None else (end, 1 - end),
        settings.mask_share_steps,
    )
    try:
        return BatchMasking(
            settings.mask,
            settings.mask_ratio,
            grid=config.grid,
            patch_size=config.patch_size,
            tubelet_size=config.tubelet_size,
            mode=settings.mask_mode,
            order=settings.mask_order,
            schedule=schedule,
            decode_ratio=decode_ratio,
            seed=settings.seed,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


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
    sys.exit(run_recipe(main))
