"""Tracks whose sound belongs to their picture, as an expert hears it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.progress import track as progress

from lightly_marlin.lip_sync.measures.track_offset import track_curve
from lightly_marlin.lip_sync.networks.sync_expert import SyncExpert
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import atomic_write

__all__ = ["measure_offsets", "tracks_in_sync"]

_COLUMNS = ("track", "offset", "confidence")
_WRITE_EVERY = 500


def tracks_in_sync(
    offsets: dict[str, int | None], max_offset: int
) -> tuple[list[str], dict[str, str]]:
    """Divides tracks by the offset of their sound.

    Args:
        offsets: Offsets in frames by names of tracks; None for tracks that are too
            short to tell, which stay.
        max_offset: Largest offset of a track that stays, in both directions.

    Returns:
        - Names of the tracks that stay, in order.
        - Reasons by the names of all others.
    """
    kept, reasons = [], {}
    for name, offset in offsets.items():
        if offset is None or abs(offset) <= max_offset:
            kept.append(name)
            continue
        frames = f"{abs(offset)} frame{'s' if abs(offset) > 1 else ''}"
        reasons[name] = f"its sound is {frames} {'early' if offset > 0 else 'late'}"
    return kept, reasons


def measure_offsets(
    expert: SyncExpert, store: FaceStore, tracks: Sequence[str], table: Path
) -> dict[str, int | None]:
    """Measures the offset of each track, by `track_curve`, and keeps it in a table.

    Tracks that are in the table are not measured again.

    Args:
        expert: The expert.
        store: The store.
        tracks: Names of tracks with sound.
        table: CSV file with columns track, offset and confidence; written if missing.

    Returns:
        Offsets in frames by names of tracks, positive if the sound is early; None for
        tracks that are too short to tell.

    Raises:
        UsageError: If a file of a track is missing or damaged.
    """
    rows = _read(table)
    missing = [name for name in tracks if name not in rows]
    steps = progress(
        missing, "offsets", console=console, disable=not console.is_terminal
    )
    for number, name in enumerate(steps, start=1):
        curve = track_curve(expert, store[store.indices_of([name])[0]])
        rows[name] = (
            (name, "", "")
            if curve is None
            else (name, str(curve.offset), f"{curve.confidence:.6f}")
        )
        if number % _WRITE_EVERY == 0 or number == len(missing):
            _write(table, list(rows.values()))
    return {name: int(rows[name][1]) if rows[name][1] else None for name in tracks}


def _read(table: Path) -> dict[str, tuple[str, ...]]:
    if not table.exists():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        return {
            row["track"]: tuple(row[name] for name in _COLUMNS)
            for row in csv.DictReader(file)
        }


def _write(table: Path, rows: Sequence[tuple[str, ...]]) -> None:
    with (
        atomic_write(table) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([_COLUMNS, *rows])
