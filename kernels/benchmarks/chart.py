"""Chart of a result: bars of time for every operation at its largest batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["draw_chart"]

# From the colours of Okabe and Ito, which people with any colour vision tell apart.
_COLORS = {
    "ours": "#009e73",
    "compile": "#0072b2",
    "plain": "#8c959f",
    "lightly": "#e69f00",
    "original": "#d55e00",
}
_WIDTH, _BAR, _BETWEEN, _TITLE = 11.0, 0.26, 0.75, 0.6  # inches


def draw_chart(result: dict[str, Any], path: Path) -> str | None:
    """Draws bars as PNG.

    Args:
        result: What `run_suite` returned.
        path: The file to write; its folder exists.

    Returns:
        None, or why there is no chart.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return "no chart, because matplotlib is not installed: pip install matplotlib"
    groups = _group(result)
    heights = [len(rows) * _BAR for rows in groups.values()]
    height = _TITLE + sum(heights) + len(groups) * _BETWEEN
    figure = Figure(figsize=(_WIDTH, height), dpi=100, layout="constrained")
    title = f"{result['device']}, copy {result['copy_gb_per_s']:.0f} GB/s"
    if result["device"] == "cpu":
        title += " (tiny sizes on a CPU: a test of the program, no kernel ran)"
    figure.suptitle(title)
    plots = figure.subplots(len(groups), squeeze=False, height_ratios=heights)[:, 0]
    for axes, ((name, batch_size), rows) in zip(plots, groups.items(), strict=True):
        _draw_bars(axes, rows)
        axes.set_title(f"{name}, batch {batch_size}", loc="left", fontsize=11)
    plots[-1].set_xlabel("median time (µs); dashed: a copy of as many bytes")
    FigureCanvasAgg(figure).print_png(path)
    return None


def _draw_bars(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Draws a bar for every way, fastest first, and a line for an equal-size copy."""
    ways = [row["way"] for row in rows]
    times = [row["median_us"] for row in rows]
    bars = axes.barh(ways, times, height=0.75, color=[_COLORS[way] for way in ways])
    labels = [
        f"{row['median_us']:.0f} µs, {100 * row['share_of_copy']:.0f} % of copy"
        for row in rows
    ]
    axes.bar_label(bars, labels, padding=5)
    axes.invert_yaxis()
    copy = rows[0]["copy_us"]
    axes.axvline(copy, color="#24292f", linestyle="--", linewidth=1)
    # Room for the label of the longest bar.
    axes.set_xlim(0, 1.3 * max(*times, copy))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#e1e4e8", linewidth=0.6)


def _group(result: dict[str, Any]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Returns the rows of the largest batch by operation, fastest first."""
    largest = max(row["batch_size"] for row in result["operations"])
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in result["operations"]:
        if row["batch_size"] == largest:
            groups.setdefault((row["operation"], largest), []).append(row)
    return {
        key: sorted(rows, key=lambda row: float(row["median_us"]))
        for key, rows in groups.items()
    }
