"""Robustness of face tracks against degradations by cameras and networks.

    python recipes/benchmarks/face_robustness.py DATA

DATA is a folder of real clips with a table SOURCES.md (see `faces.py`). Every clip is
searched for all its faces, unchanged and after each degradation of `degradations.py`:

- kept: of the frames of the clean run's tracks whose face is still at least 40 pixels
  wide, the share in which a track of the degraded run covers the face (intersection
  over union of the face boxes of at least 0.4). Per clip, and over all frames.
- false tracks: tracks in clips without a visible face.

Thresholds that were tuned on clean clips are not evidence; this is. Writes
results/face_robustness-<machine>.json and prints a table. Exit status 1 if a mild
degradation keeps less than 95 % or gives more false tracks than the clean run.
"""

from __future__ import annotations

import argparse
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
    """Returns the numbers of kept faces and of all faces of the clean run.

    Args:
        clean: Boxes by frame.
        degraded: Boxes by frame of the degraded clip.
        frames: Frame of the clean clip for each frame of the degraded one.
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


def measure_clip(clip: Clip, chosen: list[Degradation]) -> dict[str, Any]:
    """Searches a clip unchanged and after each degradation."""
    with VideoReader(clip.path) as reader:
        frames = list(reader)
    clean = find_faces(frames)
    row: dict[str, Any] = {"clip": clip.path.name, "clean_tracks": len(clean)}
    for degradation in chosen:
        indices = degradation.kept_frames(len(frames), reader.fps)
        tracks = find_faces(degradation.apply([frames[index] for index in indices]))
        kept, total = count_kept(
            boxes_by_frame(clean), boxes_by_frame(tracks), indices, degradation.scale
        )
        row[degradation.name] = {"tracks": len(tracks), "kept": kept, "of": total}
    return row


def summarise(
    rows: list[dict[str, Any]], chosen: list[Degradation]
) -> list[dict[str, Any]]:
    """Returns a row per degradation with the result over all clips."""
    faceless = [row for row in rows if row["clip"] in NO_FACE]
    false_clean = sum(row["clean_tracks"] for row in faceless)
    summary = []
    for degradation in chosen:
        false = sum(row[degradation.name]["tracks"] for row in faceless)
        entries = [(row["clip"], row[degradation.name]) for row in rows]
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
                "false_tracks": false,
                "false_tracks_clean": false_clean,
            }
        )
    return summary


def show(summary: list[dict[str, Any]]) -> None:
    """Prints the table."""
    table = Table(title="Faces that keep a track")
    for heading in ("degradation", "mild", "kept", "frames", "worst clip", "false"):
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
            str(row["false_tracks"]),
        )
    console.print(table)


def main() -> int:
    """Measures, prints and writes; returns the exit status."""
    parser = argparse.ArgumentParser(description="Benchmark the robustness of faces.")
    parser.add_argument("data", type=Path, help="folder of clips with SOURCES.md")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these clips")
    parser.add_argument(
        "--degradations", nargs="+", choices=[one.name for one in DEGRADATIONS]
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="output folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.degradations
    chosen = [one for one in DEGRADATIONS if names is None or one.name in names]
    clips, rows = read_clips(options.data, options.only), []
    with progress() as bar:
        task = bar.add_task("clips", total=len(clips), unit="clips")
        for clip in clips:
            rows.append(measure_clip(clip, chosen))
            bar.advance(task)
    summary = summarise(rows, chosen)
    result = {
        "suite": "face_robustness",
        "machine": describe_machine(),
        "least_face": LEAST_FACE,
        "least_iou": LEAST_IOU,
        "summary": summary,
        "clips": rows,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"face_robustness-{machine_name()}.json"
    write_json(path, result)
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
