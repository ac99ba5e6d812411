"""Tables of measures: ground truth first, generated below it; and a row per pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from lightly_marlin.lip_sync.measures.pair_measures import PairRecord
from lightly_marlin.lip_sync.measures.pair_summary import ROWS, Mean, MeasuredRow
from lightly_marlin.utils.console import console

__all__ = ["show", "video_rows"]

_TABLES = {
    "Lips and sound, by SyncNet": {
        "lse_d": "LSE-D",
        "lse_c": "LSE-C",
        "offset": "offset",
    },
    "Lips and sound, by the expert (no LSE)": {
        "expert_distance": "distance",
        "expert_confidence": "confidence",
        "expert_offset": "offset",
    },
    "Pictures": {
        "fid_faces": "FID, faces",
        "fid_frames": "FID, frames",
        "l1_mouth": "L1 mouth",
        "l1_face": "L1 face",
        "l1_frame": "L1 frame",
        "ssim_face": "SSIM face",
    },
}
_CAPTION = "Better: smaller distance, FID and L1; greater LSE-C, confidence and SSIM."


def show(rows: Mapping[str, MeasuredRow], videos: int) -> None:
    """Prints a table for each network and one of pictures.

    Args:
        rows: Result of `summarise_pairs`.
        videos: Number of pairs that were measured.
    """
    for title, names in _TABLES.items():
        shown = {n: text for n, text in names.items() if n in rows["generated"]}
        if not shown:
            continue
        table = Table(title=f"{title} (videos: {videos})", box=box.SIMPLE)
        table.add_column("")
        for text in shown.values():
            table.add_column(text, justify="right")
        for row, text in ROWS.items():
            means = [rows[row][name] for name in shown]
            table.add_row(text, *map(_value, shown, means))
            if any(mean.interval for mean in means):
                table.add_row("  95 %", *map(_interval, shown, means))
        console.print(table)
    console.print(_CAPTION)


def video_rows(records: Sequence[PairRecord]) -> list[dict[str, str]]:
    """Returns the numbers of each pair as text, all with the same columns.

    Args:
        records: Records of pairs.
    """
    names = {
        f"{name}_{side}": ""
        for side in ROWS
        for record in records
        for name in getattr(record, side)
    }
    rows = []
    for record in records:
        numbers = {
            f"{name}_{side}": f"{value:.6g}"
            for side in ROWS
            for name, value in getattr(record, side).items()
        }
        told = {
            "seconds": "" if record.reason else f"{record.seconds:g}",
            "notes": "; ".join(record.notes),
            "reason": record.reason,
        }
        rows.append({"video": record.name, **names, **numbers, **told})
    return rows


def _value(name: str, mean: Mean) -> str:
    if name.endswith("offset"):
        return f"{mean.value:+.0f}" if mean.value else "0"
    # What holds by definition is exact.
    exact = mean.interval is None and mean.value in (0, 1)
    # Zero is added so that a rounded one has no sign.
    value = round(mean.value, _digits(name)) + 0.0
    return f"{value:.0f}" if exact else f"{value:.{_digits(name)}f}"


def _interval(name: str, mean: Mean) -> str:
    if mean.interval is None:
        return ""
    return "–".join(f"{end:.{_digits(name)}f}" for end in mean.interval)


def _digits(name: str) -> int:
    return 4 if name.startswith("l1") else 3
