"""Pretrains MARLIN on a face store, or on the built-in demo clips.

    python recipes/pretrain_marlin.py --model marlin_vit_tiny --out run
    python recipes/pretrain_marlin.py --store STORE --model marlin_vit_base --out run

Features:
    - Fasking, CRFR-P, tube, frame, random and motion-guided masks, drawn on the device;
      mixtures of two with a schedule (`--mask fasking+tube`); `--decode-ratio 0.5`
      decodes half of the masked tokens, by running cells.
    - `--flip 0.5 --crop-scale 0.7 --color 0.2` augments clips and regions together, on
      the device; off by default, as released.
    - One generator forward per step for the reconstruction and the adversarial loss.
    - float32, TF32 and bf16-mixed; one device or several (DDP); `--compile` and
      `--cuda-graph` for GPUs.
    - `--num-nodes 2 --devices 4` trains on several machines that share the run folder,
      started by torchrun or srun; `--devices auto` takes what they started.
    - `--strategy fsdp` spreads parameters, gradients and optimizer states over the
      devices; checkpoints are the same, so a run may go on either way.
    - `--resume` continues as if the training had never stopped, with any number of
      devices: clips, masks and augmentation are those of each clip's position.
    - A Slurm job that is about to end (`#SBATCH --signal=USR1@120`) saves after a step
      and asks to be requeued; a requeued job resumes by itself.
    - `--min-face 64 --max-yaw 45` and the like choose tracks by their quality.
    - `--probe LABELS --probe-store STORE` evaluates the encoder on labelled items every
      n steps, and leaves the training bit-identical; probe.csv has the numbers beside
      the constant predictor, and the row of step 0 is the baseline.
    - `--meters-every 500` measures the features of held-out tracks without labels, for
      signs of collapse; meters.csv has the numbers.
    - `--logger` chooses one of Lightning's loggers beside metrics.csv.
    - Every field of `lightly_marlin.training.settings` is an option. Settings come from
      recipes/configs/MODEL.yaml, then --config, then options.

The run folder holds metrics.csv, validation.csv, checkpoints/last.ckpt, model/ (for
`Marlin.from_pretrained`), reconstructions/step_*.png, config.yaml and TensorBoard logs.

Exit status: 0 done, 2 bad arguments or input with one line that says what to do.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightly_marlin.store import FaceStore
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.settings import (
    PretrainSettings,
    read_settings,
    write_settings,
)
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.dependency import require_extras
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.options import parse_given
from lightly_marlin.utils.settings import setting

if TYPE_CHECKING:
    from pytorch_lightning import Callback

    from lightly_marlin.models import MarlinEncoder
    from lightly_marlin.training.marlin_pretraining import MarlinPretraining
    from lightly_marlin.training.run_data import RunData

CONFIGS = Path(__file__).parent / "configs"
MIN_METER_TRACKS = 8


@dataclass(frozen=True)
class CommandLine(PretrainSettings):
    """Options that are no settings."""

    config: Path | None = setting(None, "YAML file of settings.", metavar="FILE")
    resume: bool = setting(False, "Continue the run in OUT.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Pretrains as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If an option or the input cannot be used.
    """
    options = parse_given(
        CommandLine,
        arguments,
        "Pretrain MARLIN on a face store, or on the built-in demo clips.",
    )
    resume = options.pop("resume", False) or is_requeued()
    settings = collect_settings(options, resume)
    return pretrain(settings, resume=resume)


def is_requeued() -> bool:
    """Returns whether Slurm has started this job again."""
    return int(os.environ.get("SLURM_RESTART_COUNT", 0)) > 0


def collect_settings(options: dict[str, Any], resume: bool) -> PretrainSettings:
    """Merges MODEL.yaml (or, resuming, the run's config.yaml), --config and options."""
    files = [options.pop("config")] if "config" in options else []
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
        merged = read_settings([saved, *files], options)
        check_objectives(before, merged)
        return merged
    base = CONFIGS / f"{given.model}.yaml"
    return read_settings([base, *files], {"model": given.model, **options})


def check_objectives(before: PretrainSettings, now: PretrainSettings) -> None:
    """Raises a UsageError if a resumed run would have other objectives."""
    names, wanted = (
        ", ".join(settings.objective_weights) for settings in (before, now)
    )
    if names != wanted:
        raise UsageError(
            f"The run in {now.out} has the objectives {names}, not {wanted}. Resume "
            "with the same, whose weights may change, or choose another --out."
        )


def pretrain(settings: PretrainSettings, *, resume: bool) -> int:
    """Pretrains as the settings say; returns the exit status."""
    # Only now: --help and wrong options need not wait for torch and Lightning.
    import pytorch_lightning as pl

    from lightly_marlin.demo import open_store
    from lightly_marlin.training.agreement import Agreement
    from lightly_marlin.training.callbacks import make_logger
    from lightly_marlin.training.checkpoint import check_checkpoint
    from lightly_marlin.training.compilation import compile_networks
    from lightly_marlin.training.marlin_pretraining import MarlinPretraining
    from lightly_marlin.training.processes import (
        check_processes,
        count_devices,
        is_leader,
    )
    from lightly_marlin.training.run_data import open_data
    from lightly_marlin.training.run_report import describe_run, summarise_run
    from lightly_marlin.training.schedule import schedule_of
    from lightly_marlin.training.trainer_setup import (
        pretraining_trainer,
        quiet_lightning,
    )
    from lightly_marlin.utils.device import choose_precision

    devices = count_devices(settings.devices)
    check_processes(settings.num_nodes, devices)
    world_size = settings.num_nodes * devices
    check_graph(settings, world_size)
    check_sharding(settings)
    # The run's settings say which, so that it goes on in the same on another machine.
    precision: Any = choose_precision(settings.precision)
    settings = replace(settings, precision=precision)
    quiet_lightning()
    folder = RunFolder(Path(settings.out))
    logger = make_logger(settings.logger, folder.path)
    # This program runs once for every device; one of them writes.
    leader = is_leader()
    checkpoint = folder.open(resume=resume, leader=leader)
    pl.seed_everything(settings.seed, workers=True, verbose=False)

    def demo_clips() -> FaceStore:
        clips, frames = settings.demo_clips, settings.demo_frames
        return open_store(None, demo_clips=clips, demo_frames=frames)

    data = open_data(settings, demo_clips)
    clips = data.clips
    schedule = schedule_of(settings, len(clips), world_size)
    max_steps = settings.max_steps or schedule.total_steps
    # A checkpoint holds all weights, so those that the run began with may be gone.
    weights = settings.weights if checkpoint is None else None
    module = MarlinPretraining(settings, clips, schedule, weights, world_size)
    if checkpoint is not None:
        check_checkpoint(checkpoint, module)
    callbacks = [
        Agreement({**vars(settings), "checkpoint": checkpoint}),
        *make_callbacks(settings, folder, module, data, world_size),
    ]
    if leader:
        # Not before: what cannot be used leaves no run behind.
        write_settings(settings, folder.config)
        held_out = None if data.store is None else len(data.held_out)
        sizes = (len(clips), held_out)
        describe_run(settings, *sizes, schedule, max_steps, world_size)
    if settings.compile:
        # A gradient penalty asks for second derivatives.
        penalty = settings.gradient_penalty_weight > 0
        compile_networks(module, None if penalty else module.discriminator)
    trainer = pretraining_trainer(module, folder, logger, callbacks, max_steps)
    trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    if leader:
        summarise_run(folder, trainer.global_step)
    return 0 if trainer.global_step >= max_steps else 1


def check_graph(settings: PretrainSettings, world_size: int) -> None:
    """Raises a UsageError if a CUDA graph is wanted and the run cannot be one."""
    import torch

    if not settings.cuda_graph:
        return
    obstacles = {
        "a CUDA device": not torch.cuda.is_available(),
        "one device, not several": world_size > 1,
        "--strategy auto": settings.strategy != "auto",
        "no gradient penalty, which draws anew at each step": (
            settings.gradient_penalty_weight > 0
        ),
        "no --gradients-every, which measures beside it": settings.gradients_every > 0,
    }
    for need, missing in obstacles.items():
        if missing:
            raise UsageError(f"--cuda-graph needs {need}.")


def check_sharding(settings: PretrainSettings) -> None:
    """Raises a UsageError if something needs the whole of a model that is sharded."""
    from lightly_marlin.training.objectives.names import DECODING

    if settings.strategy != "fsdp":
        return
    known = {*DECODING, "adversarial"}
    others = [name for name in settings.objective_weights if name not in known]
    obstacles = {
        # They have weights of their own, or a teacher.
        f"the objective {' and '.join(others)}": bool(others),
        "--compile": settings.compile,
        "--gradients-every": settings.gradients_every > 0,
        # These run the encoder in one process.
        "--probe": settings.probe is not None,
        "--meters-every": settings.meters_every > 0,
    }
    for obstacle, given in obstacles.items():
        if given:
            raise UsageError(
                f"--strategy fsdp cannot be combined with {obstacle}. Leave it out, or "
                "train with --strategy ddp."
            )


def make_callbacks(
    settings: PretrainSettings,
    folder: RunFolder,
    module: MarlinPretraining,
    data: RunData,
    world_size: int,
) -> list[Callback]:
    """Returns the callbacks of a run, which validates on the tracks held out if any."""
    from lightly_marlin.training.callbacks import (
        StepProgress,
        WriteMetrics,
        metrics_columns,
    )
    from lightly_marlin.training.checkpoint import LastCheckpoint
    from lightly_marlin.training.objectives.reporting import loss_column
    from lightly_marlin.training.requeue import Requeue

    clips_per_step = settings.batch_size * world_size
    columns = metrics_columns(module.objective_weights)
    validation = make_validation(settings, folder, module, data)
    encoder: Any = module.model.encoder
    if settings.export_teacher and module.teacher is not None:
        # What is measured is what model/ has.
        encoder = module.teacher.module
    return [
        WriteMetrics(folder, clips_per_step, settings.log_every, columns),
        *validation,
        *make_probe(settings, folder, encoder),
        *make_meters(settings, folder, encoder, data),
        *make_gradients(settings, folder),
        LastCheckpoint(folder, settings.save_every),
        Requeue(),
        StepProgress(settings.log_every, loss_column(next(iter(module.objectives)))),
    ]


def make_gradients(settings: PretrainSettings, folder: RunFolder) -> list[Callback]:
    """Returns the writer of the gradients' norms, or nothing where they are off."""
    from lightly_marlin.training.callbacks import WriteGradients

    every = settings.gradients_every
    if every == 0:
        return []
    return [WriteGradients(folder.gradients, settings.objective_weights, every)]


def make_validation(
    settings: PretrainSettings,
    folder: RunFolder,
    module: MarlinPretraining,
    data: RunData,
) -> list[Callback]:
    """Returns the validation as a callback, or nothing where none is possible."""
    from lightly_marlin.training.batch_transforms import masking_of
    from lightly_marlin.training.objectives.pixels import Pixels
    from lightly_marlin.training.run_data import validation_clips
    from lightly_marlin.training.validation import Validation

    decoding = (part for part in module.objectives.values() if isinstance(part, Pixels))
    part = next(decoding, None)
    if part is None or data.store is None:
        return []
    tracks = data.held_out or data.training
    return [
        Validation(
            folder,
            module.model,
            validation_clips(data.store, tracks, settings),
            masking_of(settings, module.model.config),
            batch_size=settings.batch_size,
            every=settings.validate_every,
            to_pixels=None if part.predicts_pixels else part.to_pixels,
        )
    ]


def make_probe(
    settings: PretrainSettings, folder: RunFolder, encoder: MarlinEncoder
) -> list[Callback]:
    """Returns the probe on labelled items as a callback, or nothing without labels."""
    if settings.probe is None:
        if settings.probe_store is not None or settings.probe_column is not None:
            raise UsageError(
                "--probe-store and --probe-column need --probe, the labels."
            )
        return []
    require_extras("--probe", "evaluation")
    from lightly_marlin.evaluation import OnlineProbe, read_labels

    store = settings.probe_store or settings.store
    if store is None:
        raise UsageError("--probe needs --probe-store, the face store of its videos.")
    columns = settings.probe_column.split(",") if settings.probe_column else None
    table = read_labels(settings.probe, columns)
    return [
        OnlineProbe(
            folder.probe,
            encoder,
            table,
            FaceStore(store),
            every=settings.probe_every,
            seed=settings.seed,
        )
    ]


def make_meters(
    settings: PretrainSettings,
    folder: RunFolder,
    encoder: MarlinEncoder,
    data: RunData,
) -> list[Callback]:
    """Returns the meters of features as a callback, or nothing where they are off.

    They are measured on training tracks where too few are held out.
    """
    if settings.meters_every == 0:
        return []
    from lightly_marlin.evaluation import FeatureMeters, TrackClips
    from lightly_marlin.training.processes import is_leader

    if data.store is None:
        raise UsageError("--meters-every needs tracks of a store, not of a stream.")
    enough = len(data.held_out) >= MIN_METER_TRACKS
    if not enough and is_leader():
        console.print(
            f"Fewer than {MIN_METER_TRACKS} tracks are held out: the meters are of "
            "training tracks."
        )
    clips = TrackClips(
        data.store,
        tracks=data.held_out if enough else data.training,
        max_tracks=settings.meters_tracks,
        num_frames=encoder.config.num_frames,
        stride=settings.stride,
    )
    return [FeatureMeters(folder.meters, encoder, clips, every=settings.meters_every)]


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
