"""Benchmark of dubbing: time and memory for ten seconds of 720p.

    python recipes/benchmarks/dubbing.py
    python recipes/benchmarks/dubbing.py --models marlin_vit_tiny --seconds 2

A demo clip that talks is set into pictures of 1280x720 pixels, and dubbed by `dub.py`
with the sound of another one, by generators with the encoder of each model at 224
pixels and Wav2Lip's width of 32. Their weights are random, which takes as long.

Writes results/dubbing-<machine>.json: seconds of the whole command, start included, and
the largest memory of its process.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from environment import describe_machine, machine_name
from rich.table import Table
from running import run_recipe

from lightly_marlin.demo import write_demo_videos
from lightly_marlin.lip_sync import LipSyncGenerator
from lightly_marlin.models import create_marlin_encoder
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json
from lightly_marlin.video import iter_frames, write_video

RESULTS = Path(__file__).parent / "results"
FPS, HEIGHT, WIDTH = 25, 720, 1280


def set_into(video: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields the frames of a video, in the middle of grey ones of 720p."""
    for frame in iter_frames(video):
        picture = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
        top, left = (HEIGHT - frame.shape[0]) // 2, (WIDTH - frame.shape[1]) // 2
        picture[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
        yield picture


def measure(name: str, work: Path, video: Path, sound: Path) -> dict[str, Any]:
    """Dubs once; returns seconds and memory."""
    generator = LipSyncGenerator(create_marlin_encoder(name))
    generator.save_pretrained(work / name)
    started = time.monotonic()
    run_recipe("dub.py", video, sound, work / f"{name}.mp4", "--model", work / name)
    seconds = time.monotonic() - started
    # Of all processes so far, the largest: models come in the order of their size.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {"model": name, "seconds": seconds, "peak_gib": peak}


def main() -> None:
    """Dubs with every model, prints, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models", nargs="+", default=["marlin_vit_tiny", "marlin_vit_base"]
    )
    parser.add_argument("--seconds", type=positive_integer, default=10)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        clips = write_demo_videos(
            work / "clips", num_clips=2, num_frames=FPS * options.seconds, talking=True
        )
        video = work / "video.mp4"
        write_video(video, set_into(clips[0]), FPS)
        rows = [measure(name, work, video, clips[1]) for name in options.models]
    result = {
        "suite": "dubbing",
        "machine": describe_machine(),
        "threads": torch.get_num_threads(),
        "video_seconds": options.seconds,
        "rows": rows,
    }
    path = options.results / f"dubbing-{machine_name()}.json"
    write_json(path, result)
    table = Table("encoder", "seconds", "GiB", title=f"{options.seconds} s of 720p")
    for row in rows:
        table.add_row(row["model"], f"{row['seconds']:.0f}", f"{row['peak_gib']:.1f}")
    console.print(table)
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
