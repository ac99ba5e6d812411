"""Reports the content and quality of a face store.

    python recipes/inspect_store.py STORE
    python recipes/inspect_store.py STORE --min-face 64 --max-yaw 45 --plots plots

Features:
- Counts: tracks, people, videos, frames, hours, tracks with sound.
- The minimum, median and maximum of every quality column of the index.
- Number of tracks that each limit keeps, and that all limits keep together: the same
  options select the tracks of `pretrain_marlin.py`.
- Reasons why videos gave no track, with an example of each.
- `--plots FOLDER` writes histograms.png and examples.png: the worst and best tracks by
  each column, as thumbnails with their values.

Exit status: 0 done, even if no track meets the limits; 2 bad arguments, or a store that
cannot be read.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.table import Table
from rich.text import Text

from lightly_marlin.store import FaceStore, TrackFilter, add_filter_options
from lightly_marlin.store.format import REPORT_NAME
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, progress, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization import (
    Example,
    ExampleRow,
    example_sheet,
    histogram_sheet,
)

_COLUMNS = {
    "num_frames": "length, frames",
    "face_width": "face width, pixels",
    "face_size": "crop side, pixels",
    "coverage": "coverage",
    "detected_share": "detected share",
    "score": "detection score",
    "landmark_confidence": "landmark confidence",
    "sharpness": "sharpness",
    "brightness": "brightness, luma",
    "contrast": "contrast, luma",
    "yaw": "yaw, degrees",
    "pitch": "pitch, degrees",
    "roll": "roll, degrees",
    "max_abs_yaw": "largest |yaw|, degrees",
    "box_jitter": "box jitter, face widths",
}
_EXAMPLE_COLUMNS = (
    "sharpness",
    "face_width",
    "brightness",
    "contrast",
    "max_abs_yaw",
    "pitch",
    "roll",
    "coverage",
    "landmark_confidence",
    "box_jitter",
)
_NUM_EXAMPLES = 4
_MAX_REASONS = 10

_Mask = npt.NDArray[np.bool_]


def main(arguments: Sequence[str] | None = None) -> int:
    """Reports on a store.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If an option is invalid, the store cannot be read, or the plots
            cannot be written.
    """
    options = parse_arguments(arguments)
    track_filter = TrackFilter.from_options(vars(options))
    store = FaceStore(options.store)
    kept = track_filter.mask(store)
    show_totals(store, track_filter, kept)
    show_crops(store)
    show_distribution(store, kept)
    show_problems(store)
    if options.plots is not None:
        write_plots(store, kept, options.plots)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Report the content and quality of a face store.")
    parser.add_argument("store", metavar="STORE", help="made by preprocess_faces.py")
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="FOLDER",
        help="write histograms.png and examples.png there",
    )
    add_filter_options(parser)
    return parser.parse_args(arguments)


def show_crops(store: FaceStore) -> None:
    """Prints the options that the tracks were cropped with."""
    try:
        options = vars(store.crop_options)
        text = ", ".join(f"{name} {value}" for name, value in options.items())
        text = f"Crop options: {text}"
    except UsageError as error:
        text = str(error)
    console.print(text, markup=False, soft_wrap=True)


def show_totals(store: FaceStore, track_filter: TrackFilter, kept: _Mask) -> None:
    """Prints the size of the store, and of the part within the limits."""
    limits = track_filter.limits()
    table = Table(title=Text(f"Face store {store.path}"), show_header=bool(limits))
    table.add_column("what")
    table.add_column("all", justify="right")
    everything = count(store, np.ones(len(store), dtype=bool))
    within = count(store, kept)
    if limits:
        table.add_column("within the limits", justify="right")
    for name, value in everything.items():
        table.add_row(name, value, *([within[name]] if limits else []))
    console.print(table)
    if not limits:
        return
    table = Table(title="Limits")
    table.add_column("limit")
    table.add_column("tracks kept", justify="right")
    table.add_column("removed", justify="right")
    rows = {
        f"{name} {limits[name]:g}": m for name, m in track_filter.keeps(store).items()
    }
    for name, mask in {**rows, "all together": kept}.items():
        table.add_row(name, f"{mask.sum()}", f"{(~mask).sum()}")
    console.print(table)


def count(store: FaceStore, kept: _Mask) -> dict[str, str]:
    """Returns the numbers of tracks, people, videos, frames and so on as text."""
    frames = np.array(store.column("num_frames"), dtype=float)
    seconds = frames / np.array(store.column("fps"), dtype=float)
    samples = np.array(store.column("num_samples"))
    people = np.array(store.column("person_id"), dtype=object)
    sources = np.array(store.column("source"), dtype=object)
    return {
        "tracks": f"{kept.sum()}",
        "people (identified within a video)": f"{len(set(people[kept]))}",
        "videos with a track": f"{len(set(sources[kept]))}",
        "frames": f"{int(frames[kept].sum())}",
        "hours": f"{seconds[kept].sum() / 3600:.3g}",
        "tracks with sound": f"{np.count_nonzero(samples[kept])}",
    }


def show_distribution(store: FaceStore, kept: _Mask) -> None:
    """Prints minimum, median and maximum of each quality column."""
    if not kept.any():
        console.print("No track is within the limits.")
        return
    table = Table(title="Quality of the tracks")
    table.add_column("column")
    for name in ("least", "median", "highest", "not measured"):
        table.add_column(name, justify="right")
    for column, title in _COLUMNS.items():
        values = read_column(store, column)[kept]
        known = values[np.isfinite(values)]
        numbers = ["-", "-", "-"]
        if len(known):
            numbers = [f"{f(known):.3g}" for f in (np.min, np.median, np.max)]
        missing = len(values) - len(known)
        table.add_row(title, *numbers, f"{missing}" if missing else "")
    console.print(table)


def read_column(store: FaceStore, name: str) -> npt.NDArray[np.float64]:
    """Returns a column as numbers, with NaN for unmeasured values."""
    return np.array([np.nan if v is None else v for v in store.column(name)], float)


def show_problems(store: FaceStore) -> None:
    """Prints the reasons why videos gave no track or were unusual."""
    path = store.path / REPORT_NAME
    try:
        report = json.loads(path.read_text("utf-8"))
        # Beyond many videos, those with a reason alone are listed.
        videos: list[dict[str, Any]] = report["videos"]
        num_videos = report.get("totals", {}).get("videos", len(videos))
        problems = [video for video in videos if video["reason"]]
        by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
        for video in problems:
            # Some reasons differ only in numbers: "... found in its 95 frames".
            reason = re.sub(r"\d+", "N", str(video["reason"]))
            by_reason[video["status"], reason].append(str(video["source"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        line = f"The report {path} cannot be read ({error}); the index is complete."
        console.print(line, markup=False, soft_wrap=True)
        return
    console.print(
        f"{num_videos} videos were prepared; {len(problems)} of them had a problem."
    )
    if not problems:
        return
    table = Table(title="Problems")
    for name in ("status", "reason", "videos", "example"):
        table.add_column(name, justify="right" if name == "videos" else "left")
    ranked = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    for (status, reason), sources in ranked[:_MAX_REASONS]:
        row = (status, reason, f"{len(sources)}", sources[0])
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    if len(ranked) > _MAX_REASONS:
        console.print(f"... and {len(ranked) - _MAX_REASONS} more reasons, see {path}")


def write_plots(store: FaceStore, kept: _Mask, folder: Path) -> None:
    """Writes the histograms and the examples."""
    if len(store) == 0:
        raise UsageError(f"The store {store.path} has no track to plot.")
    titles = {title: store.column(name) for name, title in _COLUMNS.items()}
    chosen = kept if kept.any() else np.ones(len(store), dtype=bool)
    pictures = {
        "histograms.png": histogram_sheet(titles, kept),
        "examples.png": example_sheet(collect_examples(store, chosen)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            with atomic_write(folder / name) as temporary:
                picture.save(temporary)
    except OSError as error:
        raise UsageError(
            f"The plots cannot be written to {folder}: {error.strerror or error}."
        ) from error
    text = f"The plots are in {folder}: {', '.join(pictures)}"
    console.print(text, markup=False, soft_wrap=True)


def collect_examples(store: FaceStore, kept: _Mask) -> list[ExampleRow]:
    """Returns the lowest and highest tracks by each column."""
    rows = []
    with progress() as bar:
        for column in bar.track(_EXAMPLE_COLUMNS, description="examples"):
            values = read_column(store, column)
            known = np.flatnonzero(np.isfinite(values) & kept)
            order = known[np.argsort(values[known], kind="stable")]
            if len(order) < 2:
                continue
            # In a small store, no track is shown on both sides.
            shown = min(_NUM_EXAMPLES, len(order) // 2)
            low, high = (
                [example(store, int(index), values[index]) for index in side]
                for side in (order[:shown], order[-shown:])
            )
            rows.append(ExampleRow(_COLUMNS[column], low, high))
    if not rows:
        index = int(np.flatnonzero(kept)[0])
        only = [example(store, index, float(read_column(store, "sharpness")[index]))]
        rows.append(ExampleRow(_COLUMNS["sharpness"], only, []))
    return rows


def example(store: FaceStore, index: int, value: float) -> Example:
    """Returns the middle crop of a track with its value."""
    track = store[index]
    crop = track.read_video([track.num_frames // 2])[:, 0].transpose(1, 2, 0)
    picture = Image.fromarray(np.ascontiguousarray(crop))
    return Example(picture, float(value), track.source)


if __name__ == "__main__":
    sys.exit(run_recipe(main, "faces"))
