"""Comparison of results: one table, paired differences, plots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.metrics.intervals import paired_difference
from lightly_marlin.evaluation.metrics.metrics import primary_metric
from lightly_marlin.evaluation.results.report import format_value
from lightly_marlin.evaluation.results.result import RESULTS_NAME, Result
from lightly_marlin.evaluation.results.summary import (
    few_shot_curve,
    mean_and_deviation,
    mean_text,
)
from lightly_marlin.evaluation.tasks import Published, get_task, list_tasks
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.visualization.result_plots import Bar, curves_plot, label_bars

__all__ = [
    "Compared",
    "compared_pictures",
    "compared_table",
    "paired_rows",
    "published_beside",
    "read_compared",
]

_FRACTION, _SEED = "fraction_", "seed_"


@dataclass(frozen=True)
class Compared:
    """Results of one evaluation.

    Attributes:
        name: Name of its folder.
        by_share: Results of all seeds, by the percentage of the training groups.
    """

    name: str
    by_share: dict[float, list[Result]]

    @property
    def results(self) -> list[Result]:
        """Results of all seeds on the largest share."""
        return self.by_share[max(self.by_share)]


def read_compared(folders: Sequence[Path]) -> list[Compared]:
    """Reads the results of evaluations.

    Args:
        folders: Folders with results.json, or with a folder per share and seed.

    Raises:
        UsageError: If one holds no result, or is named twice.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"{twice[0]} is named twice.")
    return [
        Compared(name, _read_shares(folder))
        for name, folder in zip(names, folders, strict=True)
    ]


def compared_table(compared: Sequence[Compared]) -> list[dict[str, str]]:
    """Returns a row per task, labels and metric, with a column per evaluation, as text.

    Args:
        compared: The evaluations.

    Returns:
        Rows with "task" (with its labels where results of one task have several),
        "metric", "constant", the values with their intervals (of
        several seeds: mean ± standard deviation) by the name of the evaluation, and
        "published" where a published result has the protocol of one of them.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    tasks = _task_names(compared)
    for one, task in zip(compared, tasks, strict=True):
        result = one.results[0]
        for metric, value in _cells(one).items():
            row = rows.setdefault(
                (task, metric), {"task": task, "metric": metric, "constant": ""}
            )
            row["constant"] = row["constant"] or format_value(
                result.constant.get(metric)
            )
            row[one.name] = value
    published = {
        (task, metric): f"{value:.4f} ({entry.model}; {entry.note})"
        for one, task in zip(compared, tasks, strict=True)
        for entry in published_beside(one.results[0])
        for metric, value in entry.metrics.items()
    }
    names = [one.name for one in compared]
    names += ["published"] if published else []
    for key, row in rows.items():
        for name in names:
            row.setdefault(name, published.get(key, "") if name == "published" else "")
    first = ["task", "metric", "constant"]
    return [{name: row[name] for name in (*first, *names)} for row in rows.values()]


def published_beside(result: Result) -> list[Published]:
    """Returns the published results that a result may stand beside.

    Only the preset of the released code, on splits that were given, is their protocol.

    Args:
        result: The result.
    """
    command = result.protocol.get("command") or {}
    given = bool(command.get("splits")) or any(
        option.startswith("splits=") for option in command.get("task_option") or ()
    )
    if result.protocol.get("name") != "released" or not given:
        return []
    return list(get_task(result.task).published) if result.task in list_tasks() else []


def paired_rows(compared: Sequence[Compared]) -> list[dict[str, str]]:
    """Returns the paired differences of every evaluation from the first, as text.

    Of several seeds, the first seed of each is compared. Evaluations of other labels
    are left out.

    Args:
        compared: The evaluations.
    """
    first, *others = compared
    base = first.results[0]
    rows = []
    for other in others:
        result = other.results[0]
        if not _same_labels(base, result):
            continue
        for metric, pair in paired_difference(base, result).items():
            rows.append(
                {
                    "metric": metric,
                    "of": other.name,
                    "minus": first.name,
                    "difference": format_value(pair.difference),
                    "low": format_value(pair.low),
                    "high": format_value(pair.high),
                    "items": str(pair.items),
                }
            )
    return rows


def compared_pictures(compared: Sequence[Compared]) -> dict[str, Image.Image]:
    """Draws the primary metric of each evaluation, by the name of the picture.

    Args:
        compared: The evaluations; those of the first one's labels are drawn.

    Returns:
        "metrics", and "few_shot" if an evaluation has several shares.
    """
    first = compared[0].results[0]
    same = [one for one in compared if _same_labels(first, one.results[0])]
    metric, task = primary_metric(first.target), first.task
    constant = first.constant[metric]
    baseline = constant if np.isfinite(constant) else None
    pictures = {
        "metrics": label_bars(
            [_bar(one, metric) for one in same],
            metric=metric,
            baseline=baseline,
            title=task,
        )
    }
    several = [one for one in same if len(one.by_share) > 1]
    if several:
        curves = [few_shot_curve(one.name, one.by_share, metric)[0] for one in several]
        pictures["few_shot"] = curves_plot(
            curves,
            xlabel="share of the training groups in %",
            ylabel=metric,
            baseline=baseline,
            log_x=True,
            title=task,
        )
    return pictures


def _same_labels(a: Result, b: Result) -> bool:
    return a.task == b.task and a.target == b.target


def _read_shares(folder: Path) -> dict[float, list[Result]]:
    if (folder / RESULTS_NAME).exists():
        return {100.0: [Result.load(folder)]}
    found: dict[float, list[Result]] = defaultdict(list)
    for path in sorted(folder.glob(f"{_FRACTION}*/{_SEED}*/{RESULTS_NAME}")):
        found[_share_of(path.parents[1])].append(Result.load(path.parent))
    if not found:
        raise UsageError(
            f"{folder} holds no result. Name the --out of evaluate.py or finetune.py."
        )
    return dict(found)


def _share_of(folder: Path) -> float:
    try:
        return float(folder.name.removeprefix(_FRACTION))
    except ValueError as error:
        raise UsageError(
            f"{folder} is not named after a share of the training groups, such as "
            f"{_FRACTION}10. Rename it, or move it elsewhere."
        ) from error


def _task_names(compared: Sequence[Compared]) -> list[str]:
    """Returns the task of each evaluation; with its labels if others have others."""
    results = [one.results[0] for one in compared]
    targets: dict[str, list[Target]] = defaultdict(list)
    for result in results:
        if result.target not in targets[result.task]:
            targets[result.task].append(result.target)
    return [
        f"{result.task}: {', '.join(result.target.names)}"
        if len(targets[result.task]) > 1
        else result.task
        for result in results
    ]


def _cells(one: Compared) -> dict[str, str]:
    """Returns each metric of an evaluation as text."""
    cells = {}
    for metric in one.results[0].metrics:
        values = [result.metrics[metric] for result in one.results]
        text = mean_text(values)
        low, high = one.results[0].interval.get(metric, (float("nan"),) * 2)
        if len(values) == 1 and np.isfinite([low, high]).all():
            text += f" [{format_value(low)}, {format_value(high)}]"
        cells[metric] = text
    return cells


def _bar(one: Compared, metric: str) -> Bar:
    values = [result.metrics[metric] for result in one.results]
    mean, deviation = mean_and_deviation(values)
    if len(values) > 1:
        return Bar(one.name, mean, mean - deviation, mean + deviation, "± sd")
    return Bar(one.name, mean, *one.results[0].interval[metric])
