"""Test of a fine-tuned model on held-out items: scores, metrics and baseline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightly_marlin.evaluation.items.item_clips import ItemWindows
from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.items.item_places import ItemPlaces
from lightly_marlin.evaluation.items.model_facts import model_facts
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.splits import Fold
from lightly_marlin.evaluation.probes.protocol_data import (
    describe_data,
    package_versions,
)
from lightly_marlin.evaluation.results.result import Result
from lightly_marlin.evaluation.results.tested_items import (
    predictions_of,
    result_numbers,
)
from lightly_marlin.evaluation.tuning.tuned_model import TunedModel
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.utils.console import progress

__all__ = ["score_windows", "tuned_result"]

_DRAWS = 1000


@torch.no_grad()
def score_windows(
    model: TunedModel,
    windows: ItemWindows,
    *,
    batch_size: int = 8,
    workers: int = 0,
    bf16: bool = False,
) -> Tensor:
    """Returns the scores of all windows.

    Args:
        model: The model, in evaluation mode, on any device.
        windows: The windows.
        batch_size: Windows that are encoded together.
        workers: Loader processes.
        bf16: Compute in bfloat16 where autocast does.

    Returns:
        float32 tensor (len(windows), K) on the CPU, see `Target.scores`.
    """
    device = model.head.weight.device
    scores = []
    with progress() as bar, torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        task = bar.add_task("testing", total=len(windows), unit="windows")
        loader = DataLoader(windows, batch_size=batch_size, num_workers=workers)
        for batch in loader:
            outputs = model(batch["video"].to(device)).float()
            scores.append(model.target.scores(outputs).cpu())
            bar.advance(task, len(outputs))
    return torch.cat(scores) if scores else torch.zeros(0, model.target.num_outputs)


def tuned_result(
    model: TunedModel,
    table: LabelTable,
    store: FaceStore,
    fold: Fold,
    places: ItemPlaces,
    *,
    seed: int = 0,
    protocol: Mapping[str, Any] | None = None,
    chosen: Mapping[str, Any] | None = None,
    **options: Any,
) -> Result:
    """Tests a model on all windows of the test items, once.

    The score of an item is the mean of its windows' scores. Items without a face, or
    whose video could not be read, stay in with the score of the constant predictor;
    items whose video is missing are left out and counted.

    Args:
        model: The model, in evaluation mode.
        table: Items and labels.
        store: Store of their videos.
        fold: Items that it was trained and chosen on, and those to test.
        places: Result of `find_places` for the table.
        seed: Seed of the training, for the result, and of the intervals.
        protocol: Settings of the training, for the result.
        chosen: What was chosen on validation, for the result.
        **options: Options of `score_windows`.

    Returns:
        The result.
    """
    started = time.perf_counter()
    frames = model.encoder.config.num_frames
    clips: dict[str, Any] = {
        "places": places,
        "num_frames": frames,
        "stride": model.sample_rate,
    }
    items = [item for item in fold.test if places.statuses[item] != "missing"]
    windows = ItemWindows(table, store, items, **clips)
    place = {item: row for row, item in enumerate(items)}
    rows = torch.tensor(
        [place[item] for item in windows.item_of_window()], dtype=torch.int64
    )
    scores = score_windows(model, windows, **options)
    # As for probes: of train alone, without the items whose video is missing.
    train = [item for item in fold.train if places.statuses[item] != "missing"]
    constant = table.target.constant(table.labels[train])
    predictions = predictions_of(table, items, scores, rows, constant, "test")
    return Result(
        task=table.name,
        target=table.target,
        protocol={
            **(protocol or {}),
            "pool": "windows",
            "metrics": list(table.metrics),
            "draws": _DRAWS,
        },
        data=describe_data(_all_windows(table, store, places, clips), table, [fold]),
        model=model_facts(model.encoder),
        seed=seed,
        **result_numbers(table, {"": predictions}, draws=_DRAWS, seed=seed),
        chosen=dict(chosen or {}),
        predictions=predictions,
        versions=package_versions(),
        seconds=time.perf_counter() - started,
    )


def _all_windows(
    table: LabelTable, store: FaceStore, places: ItemPlaces, clips: dict[str, Any]
) -> ItemFeatures:
    """Returns which windows there are, without features, to count them."""
    windows = ItemWindows(table, store, range(len(table)), **clips)
    rows = torch.tensor(windows.item_of_window(), dtype=torch.int64)
    nothing = torch.zeros(len(rows), 0)
    return ItemFeatures(nothing, rows, places.statuses, places.reasons)
