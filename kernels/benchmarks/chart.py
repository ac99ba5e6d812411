"""A chart of a result: bars of time for every operation at its largest batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["draw_chart"]

_COLORS = {
    "ours": "#1b7f5c",
    "compile": "#4878a8",
    "plain": "#8d9db0",
    "lightly": "#b5894e",
    "original": "#b35c5c",
}
_WIDTH, _BAR, _GAP, _LEFT, _MARGIN = 1100, 22, 26, 110, 24


def draw_chart(result: dict[str, Any], path: Path) -> str | None:
    """Draws bars as PNG.

    Args:
        result: What `run_suite` returned.
        path: The file to write; its folder exists.

    Returns:
        None, or why there is no chart.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        return "no chart, because Pillow is not installed: pip install pillow"
    groups = _group(result)
    lines = sum(len(rows) for rows in groups.values())
    height = 2 * _MARGIN + 40 + lines * _BAR + len(groups) * (_GAP + 20)
    image = Image.new("RGB", (_WIDTH, height), "white")
    draw = ImageDraw.Draw(image)
    font, small = ImageFont.load_default(size=16), ImageFont.load_default(size=13)
    title = f"{result['device']}, copy {result['copy_gb_per_s']:.0f} GB/s"
    if result["device"] == "cpu":
        title += " (tiny sizes on a CPU: a test of the program, no kernel ran)"
    draw.text((_MARGIN, _MARGIN), title, fill="black", font=font)
    top = _MARGIN + 40
    for (name, batch_size), rows in groups.items():
        label = f"{name}, batch {batch_size}"
        draw.text((_MARGIN, top), label, fill="black", font=font)
        top += 24
        slowest = max(row["median_us"] for row in rows)
        for row in rows:
            length = row["median_us"] / slowest * (_WIDTH - _LEFT - 260)
            box = (_LEFT, top + 3, _LEFT + max(length, 1), top + _BAR - 3)
            draw.text((_MARGIN, top + 3), row["way"], fill="black", font=small)
            draw.rectangle(box, fill=_COLORS[row["way"]])
            text = (
                f"{row['median_us']:.0f} us, {100 * row['share_of_copy']:.0f} % of copy"
            )
            draw.text((box[2] + 8, top + 3), text, fill="black", font=small)
            top += _BAR
        top += _GAP - 4
    image.quantize(64).save(path, optimize=True)
    return None


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
