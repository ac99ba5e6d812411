"""Quality and speed of finding, tracking and cropping faces.

    python recipes/benchmarks/faces.py DATA

DATA is a folder of real clips with a table SOURCES.md, whose column rate25 is the share
of 25 frames in which a detector finds a face (`../shared/data`). Four parts:

- coverage: every clip is prepared as `preprocess_faces.py` does, with the main face and
  with all faces. Clips with a rate of 1.0 must be covered by one track; for the
  difficult ones, the frames with a visible face were annotated by hand.
- jitter of the crop, in units of the face's width, compared with boxes detected in
  every frame.
- speed on one core, from decoding to writing, compared with detecting, cropping and
  parsing every frame independently; at 480x360 and 1280x720, to which clips are
  rescaled. The methods alternate; medians.
- workers: one and two processes on the same videos.

Writes results/faces-<machine>.json and prints tables. Exit status 1 if a clip is not
covered as expected; a slow machine is not a failure.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from environment import describe_machine, machine_name
from faces_clips import Clip, judge, read_clips
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table

from lightly_marlin.faces import (
    DlibDetector,
    DlibLandmarks,
    crop_face,
    find_faces,
    landmarks_to_crop,
    regions_from_landmarks,
)
from lightly_marlin.faces.boxes import face_boxes
from lightly_marlin.faces.luma import luma_plane, resize_plane
from lightly_marlin.faces.tracking.track_quality import box_jitter
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.preparation.prepare_video import PreparationOptions, prepare_video
from lightly_marlin.preparation.track_writer import TrackWriter
from lightly_marlin.preparation.video_files import VideoFile
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.console import console, progress, run_recipe
from lightly_marlin.utils.files import write_json
from lightly_marlin.video import write_video
from lightly_marlin.video.reader import VideoReader, iter_frames

RESULTS = Path(__file__).parent / "results"
SIZES = {"480x360": (480, 360), "1280x720": (1280, 720)}
SPEED_CLIPS = ("wild_talking_01.mp4", "wild_indoor_01.mp4", "x_single_face_01.mp4")
JITTER_CLIPS = (
    "wild_talking_01.mp4",
    "talking_head_01.mp4",
    "talking_head_glasses_motion_01.mp4",
    "expression_change_01.mp4",
    "low_light_01.mp4",
    "wild_indoor_01.mp4",
)
PADDING = 1.7


def measure_coverage(clips: list[Clip], folder: Path) -> list[dict[str, Any]]:
    """Prepares every clip twice and judges the tracks."""
    stores = {}
    for name, all_faces in (("main", False), ("all", True)):
        for part in sorted({clip.path.parent for clip in clips}):
            store = folder / f"{name}-{part.name}"
            prepare_videos(part, store, all_faces=all_faces)
            stores[name, part] = FaceStore(store)
    return [
        judge(
            clip,
            _tracks(stores["main", clip.path.parent], clip),
            _tracks(stores["all", clip.path.parent], clip),
        )
        for clip in clips
    ]


def _tracks(store: FaceStore, clip: Clip) -> list[tuple[int, int, str]]:
    """Returns start, end and person of the tracks of a clip."""
    return [
        (track.start_frame, track.start_frame + track.num_frames, track.row.person_id)
        for track in store
        if track.source == clip.path.name
    ]


def measure_jitter(clips: list[Clip]) -> list[dict[str, Any]]:
    """Compares the crop's jitter with that of boxes detected in every frame."""
    rows = []
    detector, landmarks = DlibDetector(), DlibLandmarks()
    for clip in clips:
        if clip.path.name not in JITTER_CLIPS:
            continue
        planes = [luma_plane(frame, 1440)[0] for frame in iter_frames(clip.path)]
        (track,) = find_faces(planes, main_only=True)
        width = float(np.median(np.ptp(face_boxes(track.landmarks)[:, ::2], axis=1)))
        found = [detect(detector, plane, 1.0) for plane in planes]
        boxes = np.array([box for box in found if box is not None])
        fitted = np.concatenate(
            [
                landmarks(plane, box[None])
                for plane, box in zip(planes, found, strict=True)
                if box is not None
            ]
        )
        rows.append(
            {
                "clip": clip.path.name,
                "ours": box_jitter(track.boxes, width),
                "detector_every_frame": box_jitter(boxes, width),
                "landmarks_every_frame": box_jitter(face_boxes(fitted), width),
            }
        )
    return rows


def detect(
    detector: DlibDetector, plane: NDArray[np.uint8], factor: float
) -> NDArray[np.float64] | None:
    """Returns the box (4,) of the best face in a plane enlarged by a factor."""
    found = detector(resize_plane(plane, factor))
    return found[0].box / factor if found else None


def prepare_ours(path: Path, folder: Path) -> int:
    """Prepares a video; returns the number of frames in its track."""
    record = prepare_video(VideoFile(path, path.name), folder, PreparationOptions())
    return sum(row.num_frames for row in record.rows)


def prepare_by_frame(path: Path, folder: Path, factor: float) -> int:
    """Detects, crops, parses and writes each frame by itself; returns their number."""
    detector, predictor = DlibDetector(), DlibLandmarks()
    crops, points = [], []
    with VideoReader(path) as reader:
        for frame in reader:
            plane, _ = luma_plane(frame, 1440)
            box = detect(detector, plane, factor)
            if box is None:
                continue
            landmarks = predictor(plane, box[None])
            centre, half = (box[:2] + box[2:]) / 2, PADDING * (box[2:] - box[:2]) / 2
            padded = np.concatenate([centre - half, centre + half])[None]
            crops.append(crop_face(frame, padded[0]))
            points.append(landmarks_to_crop(landmarks, padded)[0])
    count = len(crops)
    writer = TrackWriter(
        folder / "track.mov",
        np.array(points),
        np.zeros((count, 4), np.float32),
        np.zeros(count, np.float32),
        25.0,
        lambda _, landmarks: regions_from_landmarks(landmarks, 224, 224),
    )
    for crop in crops:
        writer.write(crop)
    writer.close()
    return count


def rescale(path: Path, size: tuple[int, int], out: Path, num_frames: int) -> None:
    """Writes the first frames of a clip, filling another size."""

    def frames() -> Iterator[NDArray[np.uint8]]:
        for index, frame in enumerate(iter_frames(path)):
            if index == num_frames:
                return
            image = Image.fromarray(frame)
            scale = max(size[0] / image.width, size[1] / image.height)
            full = (round(image.width * scale), round(image.height * scale))
            image = image.resize(full, Image.Resampling.BICUBIC)
            x, y = (full[0] - size[0]) // 2, (full[1] - size[1]) // 2
            yield np.asarray(image.crop((x, y, x + size[0], y + size[1])))

    write_video(out, frames(), 25.0)


def measure_speed(clips: list[Clip], folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Times the methods alternately, on one core."""
    rows = []
    paths = {clip.path.name: clip.path for clip in clips}
    for size_name, size in SIZES.items():
        for name in SPEED_CLIPS:
            if name not in paths:
                continue
            long, short = folder / f"long-{name}", folder / f"short-{name}"
            rescale(paths[name], size, long, 180)
            rescale(paths[name], size, short, 24)
            ways: dict[str, tuple[Path, Callable[[Path, Path], int]]] = {
                "ours": (long, prepare_ours),
                "every_frame": (short, partial(prepare_by_frame, factor=1.0)),
                "every_frame_enlarged": (short, partial(prepare_by_frame, factor=2.0)),
            }
            times = time_alternating(ways, rounds)
            rows.append({"size": size_name, "clip": name, "ways": times})
    return rows


def time_alternating(
    ways: dict[str, tuple[Path, Callable[[Path, Path], int]]], rounds: int
) -> dict[str, dict[str, float]]:
    """Returns frames per second of each method, as quartiles over the rounds."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    frames = {
        name: sum(1 for _ in iter_frames(path)) for name, (path, _) in ways.items()
    }
    with progress() as bar:
        task = bar.add_task("timing", total=rounds + 1, unit="rounds")
        for index in range(rounds + 1):
            for name, (path, prepare) in ways.items():
                with tempfile.TemporaryDirectory() as out:
                    before = time.perf_counter()
                    written = prepare(path, Path(out))
                    seconds = time.perf_counter() - before
                if written < 0.9 * frames[name] and name == "ours":
                    raise RuntimeError(
                        f"Only {written} of {frames[name]} frames of {path} were "
                        "covered: nothing is timed."
                    )
                # The first round warms up models and caches.
                if index:
                    rates[name].append(frames[name] / seconds)
            bar.advance(task)
    result = {}
    for name, values in rates.items():
        low, middle, high = statistics.quantiles(values, n=4)
        result[name] = {"q1": low, "median": middle, "q3": high}
    return result


def measure_workers(clips: list[Clip], folder: Path, rounds: int) -> dict[str, Any]:
    """Times one and two worker processes on the same videos, alternately."""
    videos = folder / "videos"
    videos.mkdir()
    for clip in clips:
        if clip.path.name in SPEED_CLIPS:
            for copy in range(8):
                (videos / f"{copy}-{clip.path.name}").symlink_to(clip.path.resolve())
    rates: dict[int, list[float]] = {1: [], 2: []}
    for index in range(rounds):
        for workers in rates:
            with tempfile.TemporaryDirectory() as store:
                summary = prepare_videos(videos, store, num_workers=workers)
            if len(summary.with_status("ok")) != len(summary.records):
                raise RuntimeError("A video was not covered: nothing is timed.")
            if index or rounds == 1:
                rates[workers].append(summary.num_frames / summary.seconds)
    medians = {f"{n}": statistics.median(values) for n, values in rates.items()}
    return {
        "frames_per_second": medians,
        "efficiency_of_two": medians["2"] / medians["1"] / 2,
    }


def show(result: dict[str, Any]) -> None:
    """Prints the tables."""
    table = Table(title="Coverage")
    for heading in ("clip", "must be", "tracks", "right"):
        table.add_column(heading)
    for row in result.get("coverage", []):
        tracks = ", ".join(f"{a}-{b}" for a, b in row["tracks"]) or "none"
        right = "yes" if row["right"] else "NO"
        table.add_row(row["clip"], row["expected"], tracks, right)
    if table.rows:
        console.print(table)
    table = Table(title="Jitter of the box, in face widths")
    for heading in ("clip", "ours", "detector every frame", "ratio"):
        table.add_column(heading)
    for row in result.get("jitter", []):
        theirs = row["detector_every_frame"]
        ratio = f"1/{theirs / row['ours']:.0f}"
        table.add_row(row["clip"], f"{row['ours']:.4f}", f"{theirs:.4f}", ratio)
    if table.rows:
        console.print(table)
    table = Table(title="Frames per second, one core, decoding to writing")
    for heading in ("size", "clip", "ours", "every frame", "enlarged twice", "ratio"):
        table.add_column(heading)
    for row in result.get("speed", []):
        rates = {name: way["median"] for name, way in row["ways"].items()}
        table.add_row(
            row["size"],
            row["clip"],
            f"{rates['ours']:.0f}",
            f"{rates['every_frame']:.1f}",
            f"{rates['every_frame_enlarged']:.1f}",
            f"{rates['ours'] / rates['every_frame_enlarged']:.1f}",
        )
    if table.rows:
        console.print(table)
    if "workers" in result:
        workers = result["workers"]
        rates = workers["frames_per_second"]
        console.print(
            f"One worker {rates['1']:.0f} frames/s, two {rates['2']:.0f}: "
            f"{workers['efficiency_of_two']:.2f} of twice as many."
        )


PARTS = ("coverage", "jitter", "speed", "workers")


def main() -> int:
    """Runs the parts and writes the result."""
    parser = argparse.ArgumentParser(description="Benchmark preparing faces.")
    parser.add_argument("data", type=Path, help="folder of clips with SOURCES.md")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (from 2)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these clips")
    parser.add_argument("--out", type=Path, default=RESULTS, help="output folder")
    options = parser.parse_args()
    clips = read_clips(options.data, options.only)
    machine, name = describe_machine(), machine_name()
    result: dict[str, Any] = {"suite": "faces", "machine": machine}
    with tempfile.TemporaryDirectory() as work:
        if "coverage" in options.parts:
            result["coverage"] = measure_coverage(clips, Path(work))
        if "workers" in options.parts:
            result["workers"] = measure_workers(clips, Path(work), options.rounds)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        torch.set_num_threads(1)
        if "jitter" in options.parts:
            result["jitter"] = measure_jitter(clips)
        if "speed" in options.parts:
            result["speed"] = measure_speed(clips, Path(work), options.rounds)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"faces-{name}.json"
    write_json(path, result)
    show(result)
    console.print(f"written to {path}", soft_wrap=True)
    wrong = [row["clip"] for row in result.get("coverage", []) if not row["right"]]
    if wrong:
        console.print(f"not as it must be: {', '.join(wrong)}", style="red")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(run_recipe(main))
