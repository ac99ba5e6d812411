"""Report of results: a table for the terminal, and pictures of what is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.table import Table

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.metrics.intervals import grouped_bootstrap
from lightly_marlin.evaluation.metrics.metrics import metrics_for
from lightly_marlin.evaluation.results.result import Predictions, Result
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization.result_plots import (
    Bar,
    confusion_plot,
    label_bars,
    reliability_plot,
    roc_plot,
)

__all__ = ["draw_result", "format_value", "result_table", "show_result"]

# More curves in one plot cannot be told apart.
_MAX_ROC_CURVES = 7
# A picture needs no third digit.
_LABEL_DRAWS = 300


def show_result(result: Result) -> None:
    """Prints the table of a result, the counts behind it and its notes.

    Args:
        result: The result.
    """
    data = result.data
    lost = ", ".join(
        f"{data[name]} {words}"
        for name, words in (
            ("missing", "missing"),
            ("no_face", "without a face"),
            ("failed", "unreadable"),
        )
        if data.get(name)
    )
    console.print(
        f"{result.task}: {data['items']} items{f' ({lost})' if lost else ''} in "
        f"{data['groups']} groups, {data['groups_shared']} of them shared by splits",
        markup=False,
    )
    console.print(result_table(result))
    for note in data.get("notes", ()):
        console.print(note, markup=False, style="yellow")


def result_table(result: Result) -> Table:
    """Returns the metrics with their intervals, beside the constant predictor.

    Args:
        result: The result.
    """
    title = f"{result.task}, {result.protocol.get('name', 'fine-tuned')}"
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("constant", justify="right")
    table.add_column(str(result.model.get("name", "model")), justify="right")
    table.add_column("95 % interval", justify="right")
    faces = bool(result.data.get("no_face") or result.data.get("failed"))
    if faces:
        table.add_column("with a face", justify="right")
    for name, value in result.metrics.items():
        low, high = result.interval.get(name, (float("nan"),) * 2)
        bounds = f"{format_value(low)} to {format_value(high)}"
        row = [
            name,
            format_value(result.constant.get(name)),
            format_value(value),
            bounds if np.isfinite([low, high]).all() else "",
        ]
        if faces:
            row.append(format_value(result.metrics_with_face.get(name)))
        table.add_row(*row)
    return table


def format_value(value: float | None) -> str:
    """Returns a metric as text: three decimals, a dash where it is undefined.

    Args:
        value: The metric; None or NaN where it is undefined.
    """
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.0f}" if float(value).is_integer() and value > 1 else f"{value:.3f}"


def draw_result(result: Result, folder: Path | str) -> list[Path]:
    """Draws a result: labels.png, roc.png, confusion.png, reliability.png.

    What has no meaning for the kind of labels, or no data, is left out.

    Args:
        result: The result.
        folder: Folder of the pictures; it exists.

    Returns:
        The pictures written.
    """
    pictures = {
        "labels": _label_picture(result),
        "roc": _roc_picture(result),
        "confusion": _confusion_picture(result),
        "reliability": _reliability_picture(result),
    }
    paths = []
    for name, picture in pictures.items():
        path = Path(folder) / f"{name}.png"
        if picture is None:
            # One of an earlier result would be taken for this one's.
            path.unlink(missing_ok=True)
            continue
        with atomic_write(path) as temporary:
            picture.save(temporary)
        paths.append(path)
    return paths


def _label_intervals(result: Result) -> dict[str, tuple[float, float]]:
    """Returns the interval of each label's AUC by the label's name."""
    intervals = {}
    for index, name in enumerate(result.target.names):
        target = Target("binary", (name,))
        ends = grouped_bootstrap(
            _column(result.predictions, index),
            metrics_for(target),
            draws=_LABEL_DRAWS,
            seed=result.seed,
        )
        intervals[name] = ends["auc/flat"]
    return intervals


def _column(predictions: Predictions, index: int) -> Predictions:
    """Returns the predictions of one label as those of a binary target."""
    columns = slice(index, index + 1)
    return replace(
        predictions,
        truth=predictions.truth[:, columns],
        scores=predictions.scores[:, columns],
        constant=predictions.constant[:, columns],
    )


def _label_picture(result: Result) -> Image.Image | None:
    if result.target.kind == "regression" or len(result.target.names) < 2:
        return None
    intervals = _label_intervals(result)
    bars = []
    for name, row in result.per_label.items():
        note = f"{row['positives']:.0f} of {row['count']:.0f}"
        bars.append(Bar(name, row.get("auc", float("nan")), *intervals[name], note))
    bars.sort(key=lambda bar: -np.nan_to_num(bar.value, nan=-1.0))
    return label_bars(
        bars, metric="AUC", baseline=0.5, baseline_name="chance", title=result.task
    )


def _known(result: Result, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores and truth of a label, float64, where the truth is known."""
    truth = result.predictions.truth[:, index].double().numpy()
    scores = result.predictions.scores[:, index].double().numpy()
    known = ~np.isnan(truth)
    return scores[known], truth[known]


def _roc_picture(result: Result) -> Image.Image | None:
    names = result.target.names
    if result.target.kind == "regression" or len(names) > _MAX_ROC_CURVES:
        return None
    curves = {name: _known(result, index) for index, name in enumerate(names)}
    if not any(len(set(truth)) > 1 for _, truth in curves.values()):
        return None
    return roc_plot(curves, title=result.task)


def _confusion_picture(result: Result) -> Image.Image | None:
    if result.target.kind in ("regression", "multilabel"):
        return None
    predictions = result.predictions
    known = ~predictions.truth.isnan().any(dim=1)
    if not known.any():
        return None
    truth, scores = predictions.truth[known], predictions.scores[known]
    names: Sequence[str] = result.target.names
    if result.target.kind == "binary":
        true, said = truth[:, 0].long(), (scores[:, 0] > 0.5).long()
        names = (f"not {names[0]}", names[0])
    else:
        true, said = truth.argmax(dim=1), scores.argmax(dim=1)
    size = len(names)
    counts = (true * size + said).bincount(minlength=size * size).reshape(size, size)
    return confusion_plot(counts.numpy(), names, title=result.task)


def _reliability_picture(result: Result) -> Image.Image | None:
    if result.target.kind == "regression":
        return None
    pairs = [_known(result, index) for index in range(len(result.target.names))]
    scores, truth = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    if not len(scores):
        return None
    return reliability_plot(scores, truth, title=result.task)
