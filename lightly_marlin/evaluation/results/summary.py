"""Summary of results over seeds and shares of the training items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from lightly_marlin.evaluation.metrics.metrics import primary_metric
from lightly_marlin.evaluation.results.report import format_value
from lightly_marlin.evaluation.results.result import SCHEMA, Result
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import atomic_write, write_json
from lightly_marlin.visualization.result_plots import Curve, curves_plot

__all__ = [
    "SUMMARY_NAME",
    "few_shot_curve",
    "mean_and_deviation",
    "mean_text",
    "summarise_metrics",
    "summarise_values",
    "write_summary",
]

SUMMARY_NAME = "summary.json"


def write_summary(
    out: Path | str, results: Sequence[tuple[float, int, Result]]
) -> dict[str, Any]:
    """Writes summary.json and, of several shares, few_shot.png; prints a table.

    Args:
        out: Folder of the results.
        results: Percentage of the training groups, seed and result of each run.

    Returns:
        Content of summary.json: per share the mean, the standard deviation (of the
        sample) and all values of each metric, and the mean of the constant predictor.
    """
    by_share: dict[float, list[Result]] = defaultdict(list)
    for share, _, result in results:
        by_share[share].append(result)
    first = results[0][2]
    summary = {
        "schema": SCHEMA,
        "task": first.task,
        "target": {"kind": first.target.kind, "names": list(first.target.names)},
        "model": dict(first.model),
        "protocol": dict(first.protocol),
        "fractions": {
            f"{share:g}": {
                "seeds": [result.seed for result in by_share[share]],
                "metrics": summarise_metrics(by_share[share]),
            }
            for share in sorted(by_share)
        },
    }
    write_json(Path(out) / SUMMARY_NAME, summary)
    if len(by_share) > 1:
        metric = primary_metric(first.target)
        curve, baseline = few_shot_curve(str(first.model.get("name")), by_share, metric)
        picture = curves_plot(
            [curve],
            xlabel="share of the training groups in %",
            ylabel=metric,
            baseline=baseline,
            log_x=True,
            title=first.task,
        )
        with atomic_write(Path(out) / "few_shot.png") as temporary:
            picture.save(temporary)
    console.print(_table(first, by_share))
    return summary


def few_shot_curve(
    name: str, by_share: Mapping[float, Sequence[Result]], metric: str
) -> tuple[Curve, float]:
    """Returns a metric over the share of training groups, and the constant predictor's.

    Args:
        name: Name of the curve.
        by_share: Results by the percentage of training groups.
        metric: Name of the metric.
    """
    shares = sorted(by_share)
    pairs = [
        mean_and_deviation([result.metrics[metric] for result in by_share[share]])
        for share in shares
    ]
    constants = [result.constant[metric] for result in by_share[shares[-1]]]
    means, deviations = np.array(pairs, np.float64).T
    curve = Curve(name, np.array(shares, np.float64), means, deviations)
    return curve, mean_and_deviation(constants)[0]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Returns mean and standard deviation of the sample; NaN where undefined.

    Args:
        values: Values; NaN where one is undefined, which makes both NaN.
    """
    array = np.array(values, np.float64)
    if not len(array):
        return float("nan"), float("nan")
    deviation = float(array.std(ddof=1)) if len(array) > 1 else float("nan")
    return float(array.mean()), deviation


def mean_text(values: Sequence[float]) -> str:
    """Returns mean ± standard deviation as text, without what is undefined.

    Args:
        values: Values, as for `mean_and_deviation`.
    """
    mean, deviation = mean_and_deviation(values)
    spread = f" ± {deviation:.3f}" if np.isfinite(deviation) else ""
    return format_value(mean) + spread


def summarise_values(values: Sequence[float]) -> dict[str, Any]:
    """Returns "mean", "sd" (of the sample) and "values" for JSON; None for NaN.

    Args:
        values: Values, as for `mean_and_deviation`.
    """
    mean, deviation = mean_and_deviation(values)
    plain = [value if np.isfinite(value) else None for value in values]
    numbers = {"mean": mean, "sd": deviation}
    return {
        name: value if np.isfinite(value) else None for name, value in numbers.items()
    } | {"values": plain}


def summarise_metrics(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Returns every metric over seeds, as plain values for JSON.

    Args:
        results: Results of the same evaluation with several seeds.

    Returns:
        Per metric what `summarise_values` returns, and "constant", the mean of the
        constant predictor; None where it is undefined.
    """
    return {
        name: summarise_values([one.metrics[name] for one in results])
        | {
            "constant": summarise_values([one.constant[name] for one in results])[
                "mean"
            ]
        }
        for name in results[0].metrics
    }


def _table(first: Result, by_share: Mapping[float, Sequence[Result]]) -> Table:
    table = Table(title=f"{first.task}: mean ± sd over seeds", title_justify="left")
    table.add_column("metric")
    table.add_column("constant", justify="right")
    for share in sorted(by_share):
        table.add_column(f"{share:g} %", justify="right")
    for name in first.metrics:
        cells = [
            mean_text([result.metrics[name] for result in by_share[share]])
            for share in sorted(by_share)
        ]
        table.add_row(name, format_value(first.constant.get(name)), *cells)
    return table
