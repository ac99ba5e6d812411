"""Result of an evaluation: what was measured, how, on what, beside its baseline."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, write_json

__all__ = ["PREDICTIONS_NAME", "RESULTS_NAME", "SCHEMA", "Predictions", "Result"]

SCHEMA = 1
RESULTS_NAME = "results.json"
PREDICTIONS_NAME = "predictions.parquet"

_PURPOSE = "Keeping predictions"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Truth and scores of the items that were tested.

    Attributes:
        items: Name of each item.
        groups: Group of each item.
        splits: Split of each item; with folds, "fold 0" and so on.
        windows: int64 tensor (n,): number of windows; 0 for an item without a face,
            whose scores are those of the constant predictor.
        truth: float32 tensor (n, K), see `Target.truth`; NaN where a label is empty.
        scores: float32 tensor (n, K), see `Target.scores`: means over windows.
        constant: float32 tensor (n, K): scores of the constant predictor.
    """

    items: tuple[str, ...]
    groups: tuple[str, ...]
    splits: tuple[str, ...]
    windows: Tensor
    truth: Tensor
    scores: Tensor
    constant: Tensor

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, eq=False)
class Result:
    """Outcome of one evaluation.

    Attributes:
        task: Name of the task, or of the file of labels.
        target: Kind and names of the labels.
        protocol: Every setting that led to the numbers.
        data: Counts of items: "items", "missing", "no_face", "failed",
            "groups_shared", per split and label.
        model: Name, digest of the weights and sizes of the encoder.
        seed: Seed of splits and heads.
        metrics: Metrics by name.
        interval: 95 % interval of each metric, by bootstrap over groups.
        constant: Metrics of the constant predictor.
        metrics_with_face: Metrics of the items with a face alone.
        chosen: What was chosen on validation, per fold.
        predictions: Truth and scores behind the metrics.
        per_label: Metrics per label by name, with counts of positives.
        versions: Versions of the packages that computed it.
        seconds: Time it took.
    """

    task: str
    target: Target
    protocol: Mapping[str, Any]
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, float]
    interval: Mapping[str, tuple[float, float]]
    constant: Mapping[str, float]
    predictions: Predictions
    metrics_with_face: Mapping[str, float] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    per_label: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def save(self, folder: Path | str) -> None:
        """Writes results.json, predictions.parquet and per_label.csv, each atomically.

        Args:
            folder: The folder; created if missing.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _write_predictions(self.predictions, self.target, folder / PREDICTIONS_NAME)
        _write_per_label(self.per_label, folder / "per_label.csv")
        values = {
            name: value
            for name, value in vars(self).items()
            if name not in ("predictions", "target", "per_label")
        }
        target = {"kind": self.target.kind, "names": list(self.target.names)}
        # Last: a folder with this file is complete.
        write_json(
            folder / RESULTS_NAME,
            _plain({"schema": SCHEMA, **values, "target": target}),
        )

    @classmethod
    def load(cls, folder: Path | str) -> Result:
        """Reads a folder that `save` wrote.

        Args:
            folder: The folder.

        Raises:
            UsageError: If it holds no result, or one of another schema.
        """
        folder = Path(folder)
        path = folder / RESULTS_NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{folder} holds no result: {RESULTS_NAME} cannot be read: {error}. "
                "Make one with: python recipes/evaluate.py"
            ) from error
        schema = values.pop("schema", None) if isinstance(values, dict) else None
        if schema != SCHEMA:
            raise UsageError(
                f"{path} is of schema {schema}; this release reads schema {SCHEMA}. "
                "Run the evaluation again, or use the release that wrote it."
            )
        try:
            target = values["target"]
            values["target"] = Target(target["kind"], tuple(target["names"]))
            for name in ("metrics", "constant", "metrics_with_face"):
                values[name] = {
                    key: float("nan") if value is None else value
                    for key, value in values.get(name, {}).items()
                }
            values["interval"] = {
                key: tuple(float("nan") if end is None else end for end in ends)
                for key, ends in values["interval"].items()
            }
            return cls(
                **values,
                per_label=_read_per_label(folder / "per_label.csv"),
                predictions=_read_predictions(
                    folder / PREDICTIONS_NAME, values["target"]
                ),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path} is damaged: {error}. Run the evaluation again."
            ) from error


def _plain(value: Any) -> Any:
    """Returns a value for JSON, which knows no NaN."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _write_predictions(predictions: Predictions, target: Target, path: Path) -> None:
    pa = require("pyarrow", _PURPOSE)
    parquet = require("pyarrow.parquet", _PURPOSE)
    columns: dict[str, Any] = {
        "item": list(predictions.items),
        "group": list(predictions.groups),
        "split": list(predictions.splits),
        "windows": predictions.windows.numpy(),
    }
    for prefix, values in (
        ("truth", predictions.truth),
        (target.score_name, predictions.scores),
        ("constant", predictions.constant),
    ):
        for index, name in enumerate(target.names):
            columns[f"{prefix}/{name}"] = values[:, index].float().numpy()
    with atomic_write(path) as temporary:
        parquet.write_table(pa.table(columns), temporary)


def _read_predictions(path: Path, target: Target) -> Predictions:
    pa = require("pyarrow", _PURPOSE)
    parquet = require("pyarrow.parquet", _PURPOSE)
    try:
        table = parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error

    def columns(prefix: str) -> Tensor:
        values = [table.column(f"{prefix}/{name}").to_numpy() for name in target.names]
        return torch.from_numpy(np.stack(values, axis=1))

    return Predictions(
        items=tuple(table.column("item").to_pylist()),
        groups=tuple(table.column("group").to_pylist()),
        splits=tuple(table.column("split").to_pylist()),
        windows=torch.from_numpy(table.column("windows").to_numpy().copy()),
        truth=columns("truth"),
        scores=columns(target.score_name),
        constant=columns("constant"),
    )


def _write_per_label(per_label: Mapping[str, Mapping[str, float]], path: Path) -> None:
    columns = list(dict.fromkeys(key for row in per_label.values() for key in row))
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, ["label", *columns])
        writer.writeheader()
        writer.writerows({"label": name, **row} for name, row in per_label.items())


def _read_per_label(path: Path) -> dict[str, dict[str, float]]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return {
        row.pop("label"): {name: float(value) for name, value in row.items() if value}
        for row in rows
    }
