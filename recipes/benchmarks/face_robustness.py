"""Measures how well face tracks survive what cameras and networks do to video.

    python recipes/benchmarks/face_robustness.py DATA

DATA is a folder of real clips with a table SOURCES.md (see `faces.py`). Every clip is
searched for all its faces, as it is and after each degradation of `degradations.py`:

- kept: of the frames of the clean run's tracks whose face is still at least 40 pixels
  wide, the share in which a track of the degraded run covers the face (intersection
  over union of the face boxes of at least 0.4). Per clip, and over all frames.
- false tracks: tracks in the clips in which no face can be seen.
- other tracks: tracks in the other clips of which less than half lies on a face of the
  clean run. Some are faces that only the degraded run found.

Where the frame rate is lowered, tracks may be shorter in the same measure: 16 frames at
12 a second are longer than many a clip. Thresholds that were tuned on clean clips are
not evidence; this is. With --frames, only the first frames of each clip are taken.

Writes results/face_robustness-<machine>.json, after every clip, and prints a table.
--resume goes on with the clips that the file lacks. Exit status 1 if a mild degradation
keeps less than 95 % or gives more false tracks than the clean run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from degradations import DEGRADATIONS, Degradation
from environment import describe_machine, machine_name
from faces_clips import NO_FACE, Clip, read_clips
from numpy.typing import NDArray
from rich.table import Table

from lightly_marlin.faces import FaceTrack, find_faces
from lightly_marlin.faces.boxes import box_iou, face_boxes
from lightly_marlin.utils.console import console, progress, run_recipe
from lightly_marlin.utils.files import write_json
from lightly_marlin.video.reader import VideoReader

RESULTS = Path(__file__).parent / "results"
LEAST_FACE = 40.0
LEAST_IOU = 0.4
LEAST_KEPT = 0.95
MIN_FRAMES = 16


def boxes_by_frame(tracks: list[FaceTrack]) -> dict[int, NDArray[np.float64]]:
    """Returns the boxes (n, 4) of the faces in each frame."""
    found: dict[int, list[NDArray[np.float64]]] = {}
    for track in tracks:
        for row, box in enumerate(face_boxes(track.landmarks)):
            found.setdefault(track.start_frame + row, []).append(box)
    return {frame: np.stack(boxes) for frame, boxes in found.items()}


def count_kept(
    clean: dict[int, NDArray[np.float64]],
    degraded: dict[int, NDArray[np.float64]],
    frames: list[int],
    scale: float,
) -> tuple[int, int]:
    """Returns how many faces of the clean run are kept, and of how many.

    Args:
        clean: Boxes by frame.
        degraded: Boxes by frame of the degraded clip.
        frames: Frame of the clean clip of each frame of the degraded one.
        scale: Pixels of the degraded clip per pixel of the clean one.
    """
    kept = total = 0
    for index, frame in enumerate(frames):
        faces = clean.get(frame, np.empty((0, 4))) * scale
        faces = faces[faces[:, 2] - faces[:, 0] >= LEAST_FACE]
        total += len(faces)
        if len(faces) and index in degraded:
            best = box_iou(faces, degraded[index]).max(axis=1)
            kept += int(np.count_nonzero(best >= LEAST_IOU))
    return kept, total


def count_others(
    clean: dict[int, NDArray[np.float64]],
    tracks: list[FaceTrack],
    frames: list[int],
    scale: float,
) -> int:
    """Returns how many tracks lie on no face of the clean run for half their length.

    Args:
        clean: Boxes by frame.
        tracks: Tracks of the degraded clip.
        frames: As for `count_kept`.
        scale: As for `count_kept`.
    """
    others = 0
    for track in tracks:
        hits = 0
        for row, box in enumerate(face_boxes(track.landmarks)):
            faces = clean.get(frames[track.start_frame + row], np.empty((0, 4))) * scale
            hits += bool((box_iou(box[None], faces) >= LEAST_IOU).any())
        others += hits < track.num_frames / 2
    return others


def measure_clip(
    clip: Clip, chosen: list[Degradation], num_frames: int | None
) -> dict[str, Any]:
    """Searches a clip as it is and after each degradation."""
    with VideoReader(clip.path) as reader:
        frames = list(itertools.islice(reader, num_frames))
    tracks = find_faces(frames)
    clean = boxes_by_frame(tracks)
    row: dict[str, Any] = {"clip": clip.path.name, "clean_tracks": len(tracks)}
    for degradation in chosen:
        indices = degradation.kept_frames(len(frames), reader.fps)
        least = math.ceil(MIN_FRAMES * len(indices) / len(frames))
        degraded = degradation.apply([frames[index] for index in indices])
        tracks = find_faces(degraded, min_frames=least)
        scale = degradation.scale
        kept, total = count_kept(clean, boxes_by_frame(tracks), indices, scale)
        others = count_others(clean, tracks, indices, scale)
        row[degradation.name] = {
            "tracks": len(tracks),
            "others": others,
            "kept": kept,
            "of": total,
        }
    return row


def summarise(
    rows: list[dict[str, Any]], chosen: list[Degradation]
) -> list[dict[str, Any]]:
    """Returns a row per degradation: what all clips together keep."""
    faceless = [row for row in rows if row["clip"] in NO_FACE]
    false_clean = sum(row["clean_tracks"] for row in faceless)
    summary = []
    for degradation in chosen:
        false = sum(row[degradation.name]["tracks"] for row in faceless)
        entries = [
            (row["clip"], row[degradation.name]) for row in rows if row not in faceless
        ]
        total = sum(entry["of"] for _, entry in entries)
        kept = sum(entry["kept"] for _, entry in entries)
        worst = min(
            ((e["kept"] / e["of"], clip) for clip, e in entries if e["of"]),
            default=(1.0, ""),
        )
        summary.append(
            {
                "degradation": degradation.name,
                "mild": degradation.mild,
                "kept": kept / total if total else None,
                "frames": total,
                "worst_clip": worst[1],
                "worst_kept": worst[0],
                "other_tracks": sum(entry["others"] for _, entry in entries),
                "false_tracks": false,
                "false_tracks_clean": false_clean,
            }
        )
    return summary


def show(summary: list[dict[str, Any]]) -> None:
    """Prints the table."""
    table = Table(title="Faces that keep a track")
    headings = ("degradation", "mild", "kept", "frames", "worst clip", "other", "false")
    for heading in headings:
        table.add_column(heading)
    for row in summary:
        kept = "-" if row["kept"] is None else f"{100 * row['kept']:.1f} %"
        worst = f"{row['worst_clip']} {100 * row['worst_kept']:.0f} %"
        mild = "yes" if row["mild"] else ""
        table.add_row(
            row["degradation"],
            mild,
            kept,
            str(row["frames"]),
            worst,
            str(row["other_tracks"]),
            str(row["false_tracks"]),
        )
    console.print(table)


def write_result(
    path: Path,
    rows: list[dict[str, Any]],
    chosen: list[Degradation],
    num_frames: int | None,
) -> None:
    """Writes what was measured so far."""
    result = {
        "suite": "face_robustness",
        "machine": describe_machine(),
        "frames_per_clip": num_frames,
        "least_face": LEAST_FACE,
        "least_iou": LEAST_IOU,
        "summary": summarise(rows, chosen),
        "clips": rows,
    }
    write_json(path, result)


def main() -> int:
    """Measures, prints and writes; returns the exit status."""
    parser = argparse.ArgumentParser(description="Benchmark the robustness of faces.")
    parser.add_argument("data", type=Path, help="folder of clips with SOURCES.md")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these clips")
    parser.add_argument(
        "--degradations", nargs="+", choices=[one.name for one in DEGRADATIONS]
    )
    parser.add_argument(
        "--frames", type=int, metavar="N", help="only the first N frames of each clip"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep the clips of an unfinished run"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="output folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.degradations
    chosen = [one for one in DEGRADATIONS if names is None or one.name in names]
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"face_robustness-{machine_name()}.json"
    rows: list[dict[str, Any]] = []
    if options.resume and path.exists():
        rows = json.loads(path.read_text(encoding="utf-8"))["clips"]
    done = {row["clip"] for row in rows}
    clips = read_clips(options.data, options.only)
    with progress() as bar:
        task = bar.add_task("clips", total=len(clips), unit="clips")
        for clip in clips:
            if clip.path.name not in done:
                rows.append(measure_clip(clip, chosen, options.frames))
                write_result(path, rows, chosen, options.frames)
            bar.advance(task)
    summary = summarise(rows, chosen)
    show(summary)
    console.print(f"written to {path}", soft_wrap=True)
    failed = [
        row["degradation"]
        for row in summary
        if row["mild"]
        and (
            (row["kept"] is not None and row["kept"] < LEAST_KEPT)
            or row["false_tracks"] > row["false_tracks_clean"]
        )
    ]
    if failed:
        console.print(f"not robust against: {', '.join(failed)}", style="red")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_recipe(main))
