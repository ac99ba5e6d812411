"""Fine-tunes an encoder on labels of your own or on a published task.

    python recipes/preprocess_faces.py my_videos store
    python recipes/finetune.py my_labels.csv --store store --weights W --out tuned
    python recipes/finetune.py --task faceforensics --root R --videos R --weights W
    python recipes/predict.py other_videos predictions --model tuned/model

Features:
- LABELS, --task and the options of labels and splits are those of evaluate.py. Given
  splits are kept; otherwise one split is drawn by groups: 80/10/10, or for few items
  the first of evaluate.py's folds.
- Layer decay, drop path, warm-up and cosine in the manner of VideoMAE; MixUp and CutMix
  that leave time alone; flips, crops and light colour changes on the device. --no-flip
  for labels about left and right, --balanced draws classes equally often.
- Features are standardised over the batch before the head (off: --no-batch-norm).
  FaceForensics++ is neither mixed nor resized; for other fine traces, say --mixup 0
  and --crop-scale 1.
- --tune norm trains the LayerNorms and the head, --tune head the head alone.
- Defaults are safe for a hundred clips; every epoch prints train beside validation.
- The best epoch on validation is tested once, on all windows of the test items, beside
  the constant predictor.
- float32 and bf16-mixed; one device or several (DDP). Kill it at any moment and run it
  again with --resume: the result is the same.
- --videos prepares a store at full quality in OUT/store first.

OUT holds metrics.csv, checkpoints/, config.yaml, model/ (weights, config.json, README;
for predict.py, and as --weights for every other recipe), results.json,
predictions.parquet, per_label.csv and pictures.

Exit status: 0 done; 2 bad arguments or input, with one line that says what to do.

- [0]: VideoMAE, 2022, https://arxiv.org/abs/2203.12602
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightly_marlin.evaluation.results.result import RESULTS_NAME
from lightly_marlin.evaluation.table_arguments import (
    add_table_arguments,
    check_source,
    find_source,
    read_table,
)
from lightly_marlin.evaluation.tuning.finetune_settings import FinetuneSettings
from lightly_marlin.training.run_config import check_same_config, write_config
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.options import add_options

if TYPE_CHECKING:
    from lightly_marlin.evaluation.labels.label_table import LabelTable
    from lightly_marlin.evaluation.tuning.finetune import Finetune
    from lightly_marlin.evaluation.tuning.finetune_data import FinetuneData
    from lightly_marlin.evaluation.tuning.finetune_setup import FinetuneInputs
    from lightly_marlin.models import MarlinEncoder
    from lightly_marlin.store import FaceStore

JPEG_QUALITY = 95
# Options that the numbers do not depend on.
APART = ("out", "resume", "workers")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fine-tunes as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If an option or the input cannot be used.
    """
    options = parse_arguments(arguments)
    # Only now: --help and wrong options need not wait for torch and Lightning.
    from lightly_marlin.evaluation.tuning.finetune_setup import (
        build_training,
        describe_training,
    )
    from lightly_marlin.training.processes import check_processes, is_leader
    from lightly_marlin.training.trainer_setup import quiet_lightning

    check_processes(1, options.devices)
    quiet_lightning()
    folder = RunFolder(options.out)
    command = command_of(options)
    if is_leader() and has_finished(folder, command, resume=options.resume):
        console.print(f"{options.out} is finished already.", soft_wrap=True)
        return 0
    table = read_table(options)
    source = find_source(options)
    checkpoint = folder.open(resume=options.resume, leader=is_leader())
    inputs = read_inputs(options, table, source, leader=is_leader())
    encoder = build_encoder(options)
    settings = complete_settings(options, inputs, encoder)
    module, data = build_training(
        settings,
        inputs,
        encoder,
        flip=0.0 if options.no_flip else 0.5,
        balanced=options.balanced,
    )
    if is_leader():
        # Not before: what cannot be used leaves no run behind.
        write_config(folder, command)
        describe_training(settings, inputs, data)
    train(module, data, settings, folder, checkpoint)
    if is_leader():
        finish(module, settings, inputs, folder, command, options)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line; checks what needs no data."""
    parser = RecipeParser(description="Fine-tune an encoder on labelled videos.")
    add_table_arguments(parser)
    add = parser.add_argument
    add(
        "--weights",
        metavar="W",
        help="checkpoint of any known layout, folder, or repository of the Hub",
    )
    add(
        "--model",
        metavar="NAME",
        help="sizes of the model (default: those of the weights); without --weights, "
        "training starts from random ones",
    )
    add(
        "--out",
        type=Path,
        default=Path("tuned"),
        metavar="OUT",
        help="folder of the run (default: tuned)",
    )
    add("--resume", action="store_true", help="continue the training in OUT")
    add(
        "--no-flip",
        action="store_true",
        help="never mirror clips, for labels about left and right",
    )
    add("--balanced", action="store_true", help="draw classes equally often")
    add_options(parser, FinetuneSettings)
    options = parser.parse_args(arguments)
    if options.labels is None and options.task is None:
        raise UsageError("Name the labels: finetune.py LABELS, or --task NAME.")
    check_source(options)
    if options.weights is None and options.model is None:
        raise UsageError(
            "Name the weights to start from with --weights, or the sizes of a model "
            "with --model to start from random ones."
        )
    settings_of(options)
    return options


def settings_of(options: argparse.Namespace) -> FinetuneSettings:
    """Returns the settings among the options."""
    names = [field.name for field in dataclasses.fields(FinetuneSettings)]
    return FinetuneSettings(**{name: getattr(options, name) for name in names})


def command_of(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the options that the numbers depend on, as plain values."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in sorted(vars(options).items())
        if name not in APART
    }


def has_finished(folder: RunFolder, command: dict[str, Any], *, resume: bool) -> bool:
    """Returns whether the run is finished; checks that it is the same one."""
    if not resume or not folder.config.exists():
        return False
    check_same_config(folder, command, flag_of)
    return (folder.path / RESULTS_NAME).exists()


def flag_of(name: str) -> str:
    """Returns how the command line calls an option."""
    return name.upper() if name == "labels" else "--" + name.replace("_", "-")


def read_inputs(
    options: argparse.Namespace,
    table: LabelTable,
    source: FaceStore | Path,
    *,
    leader: bool,
) -> FinetuneInputs:
    """Opens the store, made from videos if need be, and divides the items."""
    from lightly_marlin.evaluation.items.item_places import find_places
    from lightly_marlin.evaluation.labels.splits import folds
    from lightly_marlin.evaluation.tuning.finetune_setup import FinetuneInputs
    from lightly_marlin.store import FaceStore

    if not isinstance(source, FaceStore):
        path = options.out / "store"
        # Other processes start when the store is there.
        if leader:
            from lightly_marlin.preparation import prepare_videos

            prepare_videos(source, path, jpeg_quality=JPEG_QUALITY)
        source = FaceStore(path)
    places = find_places(table, source)
    # Drawn from all items: what the store lacks does not move the others.
    return FinetuneInputs(table, source, places, folds(table, options.seed)[0])


def build_encoder(options: argparse.Namespace) -> MarlinEncoder:
    """Returns the encoder to start from."""
    import torch

    from lightly_marlin.models import create_marlin_encoder, load_encoder

    torch.manual_seed(options.seed)
    if options.weights is not None:
        return load_encoder(options.weights, options.model)
    return create_marlin_encoder(options.model)


def complete_settings(
    options: argparse.Namespace, inputs: FinetuneInputs, encoder: MarlinEncoder
) -> FinetuneSettings:
    """Returns the settings with what suits the data and the model."""
    from lightly_marlin.evaluation.tasks import get_task

    fine = options.task is not None and get_task(options.task).crops == "videos"
    settings = settings_of(options).completed(
        inputs.table.target,
        clips=len(inputs.fold.train),
        depth=encoder.config.encoder_depth,
        fine_traces=fine,
    )
    if inputs.table.target.kind == "regression" and (settings.mixup or settings.cutmix):
        raise UsageError(
            "Values cannot be mixed: drop --mixup and --cutmix, or say --kind."
        )
    return settings


def train(
    module: Finetune,
    data: FinetuneData,
    settings: FinetuneSettings,
    folder: RunFolder,
    checkpoint: Path | None,
) -> None:
    """Trains, from a checkpoint on if there is one."""
    import pytorch_lightning as pl

    from lightly_marlin.evaluation.tuning.finetune_files import FinetuneFiles
    from lightly_marlin.training.checkpoint import RunCheckpointIO, check_checkpoint

    if checkpoint is not None:
        check_checkpoint(checkpoint, module)
    trainer = pl.Trainer(
        max_epochs=settings.epochs,
        precision=settings.precision,
        accelerator="auto",
        devices=settings.devices,
        strategy="ddp" if settings.devices > 1 else "auto",
        default_root_dir=folder.path,
        logger=False,
        plugins=[RunCheckpointIO(folder, None)],
        callbacks=[FinetuneFiles(folder, module.primary)],
        enable_progress_bar=console.is_terminal,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)


def finish(
    module: Finetune,
    settings: FinetuneSettings,
    inputs: FinetuneInputs,
    folder: RunFolder,
    command: dict[str, Any],
    options: argparse.Namespace,
) -> None:
    """Tests the best epoch and writes model and result."""
    from lightly_marlin.evaluation.results.report import draw_result, show_result
    from lightly_marlin.evaluation.tuning.finetune_files import load_best
    from lightly_marlin.evaluation.tuning.finetune_result import tuned_result
    from lightly_marlin.evaluation.tuning.tuned_card import tuned_card
    from lightly_marlin.models import accelerate_cpu
    from lightly_marlin.utils.device import choose_device

    chosen = load_best(folder, module)
    model = accelerate_cpu(module.model).to(choose_device()).eval()
    result = tuned_result(
        model,
        inputs.table,
        inputs.store,
        inputs.fold,
        inputs.places,
        seed=settings.seed,
        protocol={
            "name": "fine-tuned",
            **dataclasses.asdict(settings),
            "flip": not options.no_flip,
            "balanced": options.balanced,
            "jpeg_quality": inputs.store.jpeg_quality,
            "command": command,
        },
        chosen=chosen,
        batch_size=settings.batch_size,
        workers=settings.workers,
        bf16=settings.precision != "32",
    )
    config = model.encoder.config
    start = options.weights and Path(options.weights).name
    card = tuned_card(result, config, source=str(folder.model), weights=start)
    model.cpu().save_pretrained(folder.model, card=card)
    draw_result(result, folder.path)
    # Last: a folder with it is finished.
    result.save(folder.path)
    show_result(result)
    console.print(f"The model is in {folder.model}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(run_recipe(main, "evaluation"))
