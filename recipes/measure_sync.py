"""Measures how far lips and sound are apart in any video.

    python recipes/measure_sync.py VIDEOS --syncnet syncnet_v2.model
    python recipes/measure_sync.py VIDEOS --expert expert_run/expert --out offsets.csv
    python recipes/measure_sync.py talk.mp4 --expert W --picture offsets.png

Features:
- VIDEOS is a folder (searched recursively), one file, or a glob pattern in quotes.
- The main face of every video is found, followed and cropped; its sound is aligned by
  the time stamps of the file. Both are compared at 25 frames per second, whatever the
  rate of the video, at shifts of up to 15 frames (0.6 seconds).
- The offset is positive if the sound comes before its picture, negative if it comes
  after it: shift the sound later by it to mend the video.
- --syncnet measures with the published SyncNet: distance and confidence are LSE-D and
  LSE-C. Compare them only with those of videos that are cut out alike.
- --expert measures with an expert of train_sync_expert.py: distance is 1 minus the mean
  cosine of lips and sound. Its numbers are no LSE.
- --out writes a CSV file with the columns video, offset_frames (at 25 per second),
  offset_seconds, confidence, distance, start_seconds and num_frames (what was
  measured), and reason. --picture draws the curves of the first six videos.

Low confidence means that the speech was not found: the offset is then worth nothing.
Videos without sound, without a face, or too short are named and skipped.

Exit status: 0 when done, even if some of the videos could not be measured; 2 for bad
arguments, or when no video could be.

- [0]: Out of Time: Automated Lip Sync in the Wild, 2016,
  https://www.robots.ox.ac.uk/~vgg/publications/2016/Chung16a/
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

from lightly_marlin.store.crop_arguments import add_crop_arguments, crop_options
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, one_line, progress, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write

if TYPE_CHECKING:
    import torch

    from lightly_marlin.lip_sync import SyncExpert, SyncNet, SyncReading
    from lightly_marlin.preparation.video_files import VideoFile
    from lightly_marlin.store import CropOptions

FPS = 25
COLUMNS = (
    "video",
    "offset_frames",
    "offset_seconds",
    "confidence",
    "distance",
    "start_seconds",
    "num_frames",
    "reason",
)
NUM_CURVES = 6


class Measured(NamedTuple):
    """A video with its reading, or with the reason why there is none."""

    video: str
    reading: SyncReading | None = None
    start: float = 0.0
    num_frames: int = 0
    reason: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the input cannot be used, or no video could be measured.
    """
    options = parse_arguments(arguments)
    from lightly_marlin.preparation import find_videos
    from lightly_marlin.utils.device import choose_device

    files = find_videos(options.videos)
    network = load_network(options, choose_device(options.device))
    crops = crop_options(options)
    measured = []
    with progress() as bar:
        task = bar.add_task("measuring", total=len(files), unit="videos")
        for file in files:
            measured.append(measure(network, file, crops, options.max_seconds))
            bar.advance(task)
    show(measured, by_syncnet=options.syncnet is not None)
    if options.out is not None:
        write_table(options.out, measured)
    done = {m.video: m.reading for m in measured if m.reading is not None}
    if not done:
        raise UsageError(
            f"None of the {len(measured)} videos could be measured: "
            f"{measured[0].video}: {measured[0].reason}."
        )
    if options.picture is not None:
        draw(options.picture, done)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(
        description="Measure how far lips and sound are apart in videos.",
        epilog="The offset is positive if the sound comes before its picture.",
    )
    add = parser.add_argument
    add(
        "videos",
        metavar="VIDEOS",
        help="folder (searched recursively), file, or glob pattern in quotes",
    )
    add("--syncnet", type=Path, metavar="P", help="published syncnet_v2.model")
    add("--expert", metavar="W", help="folder expert/ of train_sync_expert.py")
    add("--out", type=Path, metavar="TABLE.csv", help="write the table as CSV")
    add("--picture", type=Path, metavar="PNG", help="draw distance by offset")
    add(
        "--max-seconds",
        type=positive_integer,
        default=60,
        metavar="S",
        help="seconds of the face to measure, from where it appears (default: 60)",
    )
    add("--device", default="auto", help="such as cpu or cuda:1 (default: a GPU)")
    add_crop_arguments(parser)
    options = parser.parse_args(arguments)
    if (options.syncnet is None) == (options.expert is None):
        raise UsageError(
            "Name one network to measure with: --syncnet P, the published "
            "syncnet_v2.model, or --expert W of train_sync_expert.py."
        )
    return options


def load_network(
    options: argparse.Namespace, device: torch.device
) -> SyncNet | SyncExpert:
    """Returns the network to measure with."""
    from lightly_marlin.lip_sync import SyncExpert, SyncNet

    if options.syncnet is not None:
        return SyncNet.from_file(options.syncnet).to(device)
    return SyncExpert.from_pretrained(options.expert).to(device)


def measure(
    network: SyncNet | SyncExpert,
    file: VideoFile,
    crops: CropOptions,
    max_seconds: float,
) -> Measured:
    """Measures a video; the reason tells why that is not possible."""
    from lightly_marlin.lip_sync import measure_video, talking_face
    from lightly_marlin.lip_sync.measures.sync_reading import too_short
    from lightly_marlin.utils.media import MediaError

    try:
        face = talking_face(file.path, crops, max_seconds=max_seconds)
    except MediaError as error:
        return Measured(file.source, reason=error.reason)
    count = len(face.frames)
    reading = measure_video(network, face)
    if reading is None:
        return Measured(file.source, None, face.start, count, too_short(face))
    return Measured(file.source, reading, face.start, count)


def show(measured: Sequence[Measured], *, by_syncnet: bool) -> None:
    """Prints the table, and below it what was skipped."""
    table = Table(title="Offset (positive: the sound comes before its picture)")
    names = ("LSE-C", "LSE-D") if by_syncnet else ("confidence", "distance")
    for name in ("video", "frames", "seconds", *names):
        table.add_column(name, justify="left" if name == "video" else "right")
    for video, reading, *_ in measured:
        if reading is not None:
            table.add_row(
                one_line(video),
                f"{reading.offset:+d}" if reading.offset else "0",
                f"{reading.offset / FPS:+.2f}" if reading.offset else "0.00",
                f"{reading.confidence:.3f}",
                f"{reading.distance:.3f}",
            )
    if table.row_count:
        console.print(table)
    for video, reading, *_, reason in measured:
        if reading is None:
            text = f"skipped: {one_line(video)}: {one_line(reason)}"
            console.print(text, markup=False, soft_wrap=True)


def write_table(path: Path, measured: Sequence[Measured]) -> None:
    """Writes a row per video as CSV."""
    from lightly_marlin.evaluation.results.table_files import write_csv

    rows = []
    for video, reading, start, num_frames, reason in measured:
        row = dict.fromkeys(COLUMNS, "") | {"video": video, "reason": reason}
        if reading is not None:
            row |= {
                "offset_frames": f"{reading.offset}",
                "offset_seconds": f"{reading.offset / FPS:g}",
                "confidence": f"{reading.confidence:.6g}",
                "distance": f"{reading.distance:.6g}",
                "start_seconds": f"{start:.6g}",
                "num_frames": f"{num_frames}",
            }
        rows.append(row)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_csv(path, rows)
    except OSError as error:
        raise not_written(path, error) from error
    console.print(f"The table is in {path}", markup=False, soft_wrap=True)


def draw(path: Path, readings: Mapping[str, SyncReading]) -> None:
    """Draws the curves of the first videos."""
    from lightly_marlin.visualization import sync_curve

    shown = list(readings.items())[:NUM_CURVES]
    curves = {one_line(video): reading.distances for video, reading in shown}
    picture = sync_curve(curves, "distance of lips and sound by their offset")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            picture.save(temporary, format="PNG")
    except OSError as error:
        raise not_written(path, error) from error
    console.print(f"The curves are in {path}", markup=False, soft_wrap=True)


def not_written(path: Path, error: OSError) -> UsageError:
    """Returns the error for a file that cannot be written."""
    return UsageError(f"{path} cannot be written: {error.strerror or error}.")


if __name__ == "__main__":
    sys.exit(run_recipe(main, "evaluation", "faces"))
