"""Speed of loading clips from a face store, compared with the reference.

    python recipes/benchmarks/loader.py [VIDEOS]

The same tracks are written twice to a temporary folder: as a face store, and in the
layout of the released MARLIN preparation (one JPEG of quality 95 and one int64 `.npy`
region map per frame). A clip is 16 frames at stride 2. Ours: `FaceClips`, uint8 video
and region cells. The reference's: 16 JPEG files decoded to float32 in [0, 1] and the 8
region maps that decide its masks; turning those into masks is not timed. It is timed
with Pillow and with torchvision, and the faster one counts.

One core, warm page cache, alternating methods; medians and quartiles. Before anything
is timed, both must give the same frames (within JPEG's loss) and the same regions.

Writes results/loader-<machine>.json and prints a table. Without VIDEOS the built-in
demo clips are used.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from environment import describe_machine, machine_name
from PIL import Image
from rich.table import Table
from torch import Tensor
from torchvision.io import ImageReadMode, read_image

from lightly_marlin.data import FaceClips
from lightly_marlin.demo import demo_store
from lightly_marlin.faces import regions_from_landmarks
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.regions import RegionCells
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.console import console, progress, run_recipe
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
NUM_FRAMES, STRIDE, TUBELET = 16, 2, 2
MAX_DIFFERENCE = 4.0  # mean loss of two JPEG encodings over a clip, in grey levels


class ReferenceClips:
    """Reads clips as MARLIN's released data set does."""

    def __init__(self, root: Path, decoder: str) -> None:
        self.root = root
        self.read = {"pillow": read_with_pillow, "torchvision": read_with_torchvision}[
            decoder
        ]

    def load(self, track_id: str, start: int) -> tuple[Tensor, Tensor]:
        """Returns float32 frames (3, 16, 224, 224) and int64 labels (8, 224, 224)."""
        frames = range(start, start + NUM_FRAMES * STRIDE, STRIDE)
        crops = [
            self.read(self.root / "crop_images_DB" / track_id / f"{frame}.jpg")
            for frame in frames
        ]
        parses = [
            np.load(self.root / "face_parsing_images_DB" / track_id / f"{frame}.npy")
            for frame in frames[::TUBELET]
        ]
        labels = torch.stack([torch.from_numpy(parse[0]) for parse in parses])
        return torch.stack(crops, dim=1), labels


def read_with_pillow(path: Path) -> Tensor:
    """Returns an image as float32 (3, H, W) in [0, 1]."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image))
    return pixels.permute(2, 0, 1).float() / 255


def read_with_torchvision(path: Path) -> Tensor:
    """Returns an image as float32 (3, H, W) in [0, 1]."""
    pixels: Tensor = read_image(str(path), ImageReadMode.RGB)
    return pixels.float() / 255


def write_reference(store: FaceStore, root: Path) -> None:
    """Writes the tracks of a store in the reference's layout."""
    with progress() as bar:
        task = bar.add_task("reference layout", total=len(store), unit="tracks")
        for track in store:
            crops = root / "crop_images_DB" / track.track_id
            parses = root / "face_parsing_images_DB" / track.track_id
            crops.mkdir(parents=True)
            parses.mkdir(parents=True)
            labels = regions_from_landmarks(track.landmarks, 224, 224)
            for index, frame in enumerate(track.frames):
                image = Image.fromarray(frame)
                image.save(crops / f"{index}.jpg", quality=95, subsampling="4:2:0")
                np.save(parses / f"{index}.npy", labels[index : index + 1].astype(int))
            bar.advance(task)


def check_equal(clips: FaceClips, reference: ReferenceClips, starts: list[int]) -> None:
    """Raises RuntimeError unless both methods load the same clips."""
    for index, start in enumerate(starts):
        ours = clips[index]
        video, labels = reference.load(clips.track_ids[index], start)
        difference = (ours["video"].float() - video * 255).abs().mean().item()
        cells = RegionCells.from_labels(labels).bits
        if difference > MAX_DIFFERENCE or not cells.equal(ours["regions"][::TUBELET]):
            raise RuntimeError(
                f"The clips of track {clips.track_ids[index]} differ by "
                f"{difference:.1f} grey levels, or in regions: nothing is timed."
            )


def time_alternating(
    ways: dict[str, Callable[[int], Any]], num_clips: int, rounds: int
) -> dict[str, list[float]]:
    """Returns milliseconds per clip of each method; the methods alternate."""
    for load in ways.values():
        for index in range(num_clips):
            load(index)
    times: dict[str, list[float]] = {name: [] for name in ways}
    with progress() as bar:
        task = bar.add_task("timing", total=rounds, unit="rounds")
        for _ in range(rounds):
            for name, load in ways.items():
                for index in range(num_clips):
                    before = time.perf_counter()
                    load(index)
                    times[name].append((time.perf_counter() - before) * 1e3)
            bar.advance(task)
    return times


def bytes_below(folder: Path) -> int:
    """Returns the total size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def summarise(
    times: dict[str, list[float]], size: dict[str, float], num_clips: int
) -> dict[str, Any]:
    """Returns the result as plain values for JSON."""
    ways: dict[str, dict[str, Any]] = {}
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        ways[name] = {
            "ms_per_clip": {"q1": low, "median": middle, "q3": high},
            "clips_per_second": 1e3 / middle,
        }
    fastest = max(ways[name]["clips_per_second"] for name in ways if name != "ours")
    return {
        "clip": {"num_frames": NUM_FRAMES, "stride": STRIDE, "clips": num_clips},
        "ways": ways,
        "speedup": ways["ours"]["clips_per_second"] / fastest,
        "bytes_per_frame": size,
        "size_ratio": size["reference"] / size["ours"],
    }


def show(result: dict[str, Any]) -> None:
    """Prints the table."""
    table = Table(title="Loading clips, one core")
    for heading in ("way", "ms/clip (quartiles)", "clips/s"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for name, way in result["ways"].items():
        ms = way["ms_per_clip"]
        spread = f"{ms['median']:.2f} ({ms['q1']:.2f} to {ms['q3']:.2f})"
        table.add_row(name, spread, f"{way['clips_per_second']:.0f}")
    console.print(table)
    size = result["bytes_per_frame"]
    console.print(
        f"{result['speedup']:.1f} times the clips per second of the faster reference; "
        f"{size['ours']:.0f} instead of {size['reference']:.0f} bytes per frame "
        f"(1/{result['size_ratio']:.0f})."
    )


def prepare(videos: str | None, folder: Path) -> FaceStore:
    """Returns a store of the given videos or of the demo clips."""
    if videos is None:
        return demo_store(folder)
    prepare_videos(videos, folder)
    return FaceStore(folder)


def load_reference(
    reference: ReferenceClips, track_ids: list[str], starts: list[int], index: int
) -> Any:
    """Loads the clip that `FaceClips` has at an index."""
    return reference.load(track_ids[index], starts[index])


def measure(store: FaceStore, layout: Path, rounds: int) -> dict[str, Any]:
    """Checks and times all methods; returns the result without the machine."""
    lengths = zip(store.column("track_id"), store.column("num_frames"), strict=True)
    tracks = [name for name, length in lengths if length > NUM_FRAMES * STRIDE]
    clips = FaceClips(store, NUM_FRAMES, STRIDE, start="center", tracks=tracks)
    starts = [clips[index]["start"] for index in range(len(clips))]
    ways: dict[str, Callable[[int], Any]] = {"ours": clips.__getitem__}
    for name in ("pillow", "torchvision"):
        reference = ReferenceClips(layout, name)
        check_equal(clips, reference, starts)
        ways[f"reference, {name}"] = partial(
            load_reference, reference, clips.track_ids, starts
        )
    times = time_alternating(ways, len(clips), rounds)
    num_frames = sum(store.column("num_frames"))
    size = {
        "ours": bytes_below(store.path) / num_frames,
        "reference": bytes_below(layout) / num_frames,
    }
    return summarise(times, size, len(clips))


def main() -> int:
    """Prepares both layouts, checks them, times them and writes the result."""
    parser = argparse.ArgumentParser(description="Benchmark loading clips.")
    parser.add_argument("videos", nargs="?", help="folder of videos (default: demo)")
    parser.add_argument("--rounds", type=int, default=20, help="clips per track")
    parser.add_argument("--out", type=Path, default=RESULTS, help="output folder")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*TorchCodec.*")
    machine, name = describe_machine(), machine_name()
    with tempfile.TemporaryDirectory() as work:
        store = prepare(options.videos, Path(work, "store"))
        write_reference(store, Path(work, "reference"))
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        torch.set_num_threads(1)
        result = measure(store, Path(work, "reference"), options.rounds)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"loader-{name}.json"
    videos = "built-in demo clips" if options.videos is None else "given videos"
    write_json(
        path, {"suite": "loader", "machine": machine, "videos": videos, **result}
    )
    show(result)
    console.print(f"written to {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main))
