"""Table of an ablation: mean and deviation over seeds per row, probe and metric."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.table import Table

from lightly_marlin.evaluation.metrics.metrics import higher_is_better, primary_metric
from lightly_marlin.evaluation.probes.protocol_data import package_versions
from lightly_marlin.evaluation.results.ablation import (
    SCHEMA,
    AblationFolder,
    Row,
    plain_settings,
)
from lightly_marlin.evaluation.results.result import Result
from lightly_marlin.evaluation.results.summary import (
    mean_and_deviation,
    mean_text,
    summarise_metrics,
    summarise_values,
)
from lightly_marlin.evaluation.results.table_files import markdown_table, write_csv
from lightly_marlin.utils.files import atomic_write, write_json
from lightly_marlin.visualization.result_plots import Bar, label_bars

__all__ = [
    "CONSTANT",
    "Results",
    "main_table",
    "notes_of",
    "read_results",
    "rich_table",
    "row_picture",
    "write_reports",
]

Results = Mapping[str, Mapping[str, Sequence[Result]]]
"""Results of all seeds, by probe and row."""

CONSTANT = "constant predictor"
_FEWEST_SEEDS = 3


def read_results(folder: AblationFolder) -> Results:
    """Reads the results of all rows and probes.

    Args:
        folder: A finished ablation.

    Raises:
        UsageError: If one is missing or damaged.
    """
    return {
        probe: {
            row.name: [
                Result.load(folder.result(row.name, seed, probe))
                for seed in folder.grid.seeds
            ]
            for row in folder.rows
        }
        for probe in folder.grid.probes
    }


def write_reports(folder: AblationFolder, results: Results) -> None:
    """Writes ablation.json, ablation.csv, ablation.md and a plot per probe.

    Args:
        folder: Folder of the ablation.
        results: Its results.
    """
    notes = notes_of(folder.grid.seeds, results)
    write_json(folder.path / "ablation.json", _content(folder, results, notes))
    write_csv(folder.path / "ablation.csv", _long_rows(folder.grid.seeds, results))
    with atomic_write(folder.path / "ablation.md") as temporary:
        text = _markdown(folder.grid.seeds, results, notes)
        temporary.write_text(text, encoding="utf-8")
    for probe, rows in results.items():
        with atomic_write(folder.path / f"{probe}.png") as temporary:
            row_picture(probe, rows).save(temporary)


def main_table(results: Results) -> list[dict[str, str]]:
    """Returns the primary metric of every probe as text, with a row per row.

    Args:
        results: The results.

    Returns:
        Rows with "pretraining" and, per probe, mean ± standard deviation over seeds;
        the last one is the constant predictor.
    """
    names = [*next(iter(results.values())), CONSTANT]
    table = [{"pretraining": name} for name in names]
    for probe, rows in results.items():
        metric = primary_metric(_first(rows).target)
        for line in table:
            values = _values(rows, line["pretraining"], metric)
            line[f"{probe}: {metric}"] = mean_text(values)
    return table


def rich_table(results: Results) -> Table:
    """Returns `main_table` for the terminal.

    Args:
        results: The results.
    """
    rows = main_table(results)
    table = Table(title="mean ± sd over seeds", title_justify="left")
    for number, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row.values())
    return table


def row_picture(probe: str, rows: Mapping[str, Sequence[Result]]) -> Image.Image:
    """Draws the primary metric of every row, ± a standard deviation over seeds.

    Args:
        probe: Name of the probe, for the heading.
        rows: Results of all seeds by row.

    Returns:
        RGB image, with the constant predictor as a line.
    """
    metric = primary_metric(_first(rows).target)
    bars = []
    for name in rows:
        mean, deviation = mean_and_deviation(_values(rows, name, metric))
        bars.append(Bar(name, mean, mean - deviation, mean + deviation))
    constant, _ = mean_and_deviation(_values(rows, CONSTANT, metric))
    lower = "" if higher_is_better(metric) else " (lower is better)"
    several = len(next(iter(rows.values()))) > 1
    return label_bars(
        bars,
        metric=f"{metric}{lower}",
        spread="standard deviation over seeds" if several else "",
        baseline=constant if np.isfinite(constant) else None,
        title=probe,
    )


def notes_of(seeds: Sequence[int], results: Results) -> list[str]:
    """Returns what limits the numbers, in sentences.

    Args:
        seeds: Seeds of the ablation.
        results: Its results.
    """
    notes = []
    if len(seeds) < _FEWEST_SEEDS:
        notes.append(
            f"Fewer than {_FEWEST_SEEDS} seeds ({len(seeds)}): differences between "
            "rows may be chance."
        )
    for probe, rows in results.items():
        data = _first(rows).data
        if shared := data.get("groups_shared"):
            notes.append(
                f"{probe}: {shared} groups are in more than one of the given splits, "
                "which flatters whatever recognises them."
            )
        notes += [f"{probe}: {note}" for note in data.get("notes", ())]
    return notes


def _first(rows: Mapping[str, Sequence[Result]]) -> Result:
    return next(iter(rows.values()))[0]


def _values(
    rows: Mapping[str, Sequence[Result]], name: str, metric: str
) -> list[float]:
    """Returns a metric of all seeds of a row, NaN where it is undefined.

    The constant predictor depends on labels and splits alone, so any row has it.
    """
    nan = float("nan")
    if name == CONSTANT:
        results = next(iter(rows.values()))
        return [result.constant.get(metric, nan) for result in results]
    return [result.metrics.get(metric, nan) for result in rows[name]]


def _content(
    folder: AblationFolder, results: Results, notes: Sequence[str]
) -> dict[str, Any]:
    """Returns the content of ablation.json."""
    return {
        "schema": SCHEMA,
        "seeds": list(folder.grid.seeds),
        "notes": list(notes),
        "rows": {row.name: _row_content(row) for row in folder.rows},
        "probes": {
            probe: {
                "arguments": list(folder.grid.probes[probe]),
                "task": _first(rows).task,
                "target": asdict(_first(rows).target),
                "items": _first(rows).data.get("items"),
                "primary": primary_metric(_first(rows).target),
                "rows": {
                    name: {
                        "weights": [one.model.get("weights") for one in several],
                        "metrics": summarise_metrics(several),
                    }
                    for name, several in rows.items()
                },
                CONSTANT: {
                    metric: summarise_values(_values(rows, CONSTANT, metric))
                    for metric in _first(rows).metrics
                },
            }
            for probe, rows in results.items()
        },
        "machine": _machine(),
        "versions": package_versions(),
    }


def _row_content(row: Row) -> dict[str, Any]:
    if row.settings is None:
        return {"baseline": True, "model": row.model}
    settings = plain_settings(row.settings)
    return {"baseline": False, "model": row.settings.model, "settings": settings}


def _machine() -> dict[str, Any]:
    """Returns the hardware that all steps ran on, without the name of the host."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        "python": platform.python_version(),
    }


def _long_rows(seeds: Sequence[int], results: Results) -> list[dict[str, str]]:
    """Returns a row per probe, metric and row of the table, for ablation.csv."""

    def text(value: float) -> str:
        return repr(float(value)) if np.isfinite(value) else ""

    lines = []
    for probe, rows in results.items():
        for metric in _first(rows).metrics:
            for name in (*rows, CONSTANT):
                values = _values(rows, name, metric)
                mean, deviation = mean_and_deviation(values)
                line = {"probe": probe, "metric": metric, "pretraining": name}
                line |= {"mean": text(mean), "sd": text(deviation)}
                pairs = zip(seeds, values, strict=True)
                lines.append(line | {f"seed_{s}": text(value) for s, value in pairs})
    return lines


def _markdown(seeds: Sequence[int], results: Results, notes: Sequence[str]) -> str:
    """Returns the content of ablation.md."""
    listed = ", ".join(map(str, seeds))
    parts = [
        "# Ablation",
        f"Mean ± standard deviation over the seeds {listed}.",
        markdown_table(main_table(results)),
        *(f"- {note}" for note in notes),
    ]
    for probe, rows in results.items():
        first = _first(rows)
        table = []
        for name in (*rows, CONSTANT):
            line = {"pretraining": name}
            for metric in first.metrics:
                line[metric] = mean_text(_values(rows, name, metric))
            table.append(line)
        protocol = first.protocol.get("name")
        about = f"{first.task}, {first.data.get('items')} items, protocol {protocol}."
        parts += [
            f"## {probe}",
            about,
            markdown_table(table),
            f"![{probe}]({probe}.png)",
        ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"
