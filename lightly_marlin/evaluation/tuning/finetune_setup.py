"""Module and loaders of a fine-tuning, built from its settings and inputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.table import Table

from lightly_marlin.evaluation.items.item_features import ItemStatus
from lightly_marlin.evaluation.items.item_places import ItemPlaces
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.splits import Fold
from lightly_marlin.evaluation.tuning.finetune import Finetune
from lightly_marlin.evaluation.tuning.finetune_data import FinetuneData
from lightly_marlin.evaluation.tuning.finetune_settings import FinetuneSettings
from lightly_marlin.models import MarlinEncoder
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.transforms.clip_augmentation import ClipAugmentation
from lightly_marlin.utils.console import console
from lightly_marlin.utils.errors import UsageError

__all__ = ["FinetuneInputs", "build_training", "describe_training"]

# Settings that are arguments of `Finetune` by the same names.
_OF_MODULE = (
    "tune",
    "layer_decay",
    "drop_path",
    "dropout",
    "batch_norm",
    "learning_rate",
    "min_learning_rate",
    "weight_decay",
    "warmup_epochs",
    "label_smoothing",
    "mixup",
    "cutmix",
    "seed",
)
_SHOWN = ("layer_decay", "drop_path", "dropout", "crop_scale", "mixup", "cutmix")


@dataclass(frozen=True)
class FinetuneInputs:
    """Items and clips of a fine-tuning.

    Attributes:
        table: Labelled items.
        store: Store of their videos.
        places: Places of the items in the store.
        fold: Items to train on, to choose on and to test.
    """

    table: LabelTable
    store: FaceStore
    places: ItemPlaces
    fold: Fold


def build_training(
    settings: FinetuneSettings,
    inputs: FinetuneInputs,
    encoder: MarlinEncoder,
    *,
    flip: float = 0.5,
    balanced: bool = False,
) -> tuple[Finetune, FinetuneData]:
    """Returns the module and its data.

    Args:
        settings: Settings, completed: none is None.
        inputs: What is trained on.
        encoder: The encoder to start from, which is trained in place.
        flip: Share of the clips to mirror.
        balanced: Draw classes equally often.

    Raises:
        UsageError: If no item has a face to train or to validate on, or there are no
            classes to balance.
    """
    options: dict[str, Any] = asdict(settings)
    table = inputs.table
    data = FinetuneData(
        table,
        inputs.store,
        inputs.fold,
        inputs.places,
        batch_size=settings.batch_size,
        num_frames=encoder.config.num_frames,
        sample_rate=settings.sample_rate,
        balanced=balanced,
        workers=settings.workers,
        seed=settings.seed,
    )
    torch.manual_seed(settings.seed)
    module = Finetune(
        encoder,
        table.target,
        batch_size=settings.batch_size * settings.devices,
        **{name: options[name] for name in _OF_MODULE},
        augmentation=ClipAugmentation(
            flip=flip, crop_scale=(options["crop_scale"], 1.0)
        ),
        metrics=table.metrics,
        model_options={
            "sample_rate": settings.sample_rate,
            "crops": _crops_of(inputs.store),
            "task": table.name,
        },
    )
    if not balanced:
        module.model.start_at(data.clips.labels())
    return module, data


def describe_training(
    settings: FinetuneSettings, inputs: FinetuneInputs, data: FinetuneData
) -> None:
    """Prints what is about to happen.

    Args:
        settings: Settings, completed.
        inputs: What is trained on.
        data: The loaders.
    """
    table = Table(title=f"fine-tuning on {inputs.table.name}", show_header=False)
    target = inputs.table.target
    statuses: tuple[ItemStatus, ...] = ("missing", "no_face", "failed")
    lost = {name: inputs.places.count(name) for name in statuses}
    rows = {
        "labels": f"{target.kind}: {', '.join(target.names[:8])}",
        "items": ", ".join(
            f"{len(items)} {name}" for name, items in inputs.fold._asdict().items()
        ),
        "left out": ", ".join(f"{n} {name}" for name, n in lost.items() if n) or "none",
        "steps": f"{settings.epochs} epochs of "
        f"{data.steps_per_epoch(settings.devices)}",
        "tune": settings.tune,
    }
    for name in _SHOWN:
        rows[name.replace("_", " ")] = f"{getattr(settings, name):g}"
    rows["batch norm"] = "yes" if settings.batch_norm else "no"
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def _crops_of(store: FaceStore) -> dict[str, Any] | None:
    """Returns the crop options of a store; None if its tracks differ in them."""
    try:
        return store.crop_options.crops()
    except UsageError as error:
        console.print(f"predict.py will ask for crop options: {error}", markup=False)
        return None
