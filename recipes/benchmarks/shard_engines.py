"""Seconds of preparation without shards, in shards here, and in shards on Ray.

    python recipes/benchmarks/shard_engines.py [VIDEOS]

The same videos are prepared three ways on all cores of this machine: into one store, as
shards one after the other, and as shards on a Ray cluster that is begun for it. Every
run is a program of its own, so the seconds have its imports and, for Ray, the start of
the cluster; what a run costs that finds everything done is told beside it. Before
anything is reported, the shards of both engines must be equal in every byte.

Alternating ways; medians, least and most. Writes results/shard_engines-<machine>.json
and prints a table. Without VIDEOS the built-in demo clips are used.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from environment import describe_machine, machine_name
from rich.table import Table
from running import run_recipe as run_program

from lightly_marlin.demo import write_demo_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.cores import available_cores
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Measures all ways and writes the result; returns the exit status."""
    options = parse_arguments()
    cores = available_cores()
    shards = options.shards or 2 * cores
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        videos = options.videos or write_videos(work / "videos")
        ways = ways_of(shards, cores)
        runs = [
            measure(way, videos, work / f"{way}_{repeat}", ways[way])
            for repeat in range(options.repeats)
            for way in ways
        ]
        check_equal(work / "shards_0", work / "ray_0")
        store = FaceStore(work / "one store_0")
        num_frames = sum(store.column("num_frames"))
    result = {
        "suite": "shard_engines",
        "machine": describe_machine(),
        "ray": version("ray"),
        "load_average": os.getloadavg()[0],
        "videos": str(options.videos or "built-in demo clips"),
        "cores": cores,
        "shards": shards,
        "tracks": len(store),
        "frames": num_frames,
        "ways": {way: summarize(runs, way) for way in ways},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / f"shard_engines-{machine_name()}.json", result)
    show(result)
    return 0


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("videos", nargs="?", type=Path, help="folder of videos")
    parser.add_argument("--shards", type=positive_integer, help="(2 for each core)")
    parser.add_argument("--repeats", type=positive_integer, default=3)
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="folder of the result"
    )
    return parser.parse_args()


def write_videos(folder: Path) -> Path:
    """Writes the demo clips."""
    write_demo_videos(folder, num_clips=12, num_frames=64)
    return folder


def ways_of(shards: int, cores: int) -> dict[str, list[object]]:
    """Returns the options of each way."""
    return {
        "one store": ["--workers", cores],
        "shards": ["--shards", shards, "--workers", cores],
        "ray": ["--shards", shards, "--engine", "ray"],
    }


def measure(
    way: str, videos: Path, store: Path, options: list[object]
) -> dict[str, Any]:
    """Prepares a store, then once more what is done already."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        run_program("preprocess_faces.py", videos, store, "--detector", "hog", *options)
        seconds.append(time.perf_counter() - started)
    return {"way": way, "seconds": seconds[0], "again_seconds": seconds[1]}


def check_equal(one: Path, other: Path) -> None:
    """Raises UsageError unless two stores have the same shards."""
    files = [path for path in sorted(one.rglob("shards/*/*")) if path.is_file()]
    for path in files:
        if path.read_bytes() != (other / path.relative_to(one)).read_bytes():
            raise UsageError(f"The engines differ in {path.relative_to(one)}.")


def summarize(runs: list[dict[str, Any]], way: str) -> dict[str, Any]:
    """Returns median, least and most of a way's seconds."""
    found = {}
    for name in ("seconds", "again_seconds"):
        values = [run[name] for run in runs if run["way"] == way]
        found[name] = {
            "median": statistics.median(values),
            "least": min(values),
            "most": max(values),
        }
    return found


def show(result: dict[str, Any]) -> None:
    """Prints the table."""
    table = Table(title=f"Preparation of {result['frames']} frames")
    for column in ("way", "seconds", "frames/s", "seconds if done"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for way, times in result["ways"].items():
        seconds = times["seconds"]["median"]
        again = times["again_seconds"]["median"]
        rate = result["frames"] / seconds
        table.add_row(way, f"{seconds:.1f}", f"{rate:.0f}", f"{again:.1f}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(run_recipe(main, "demo", "ray"))
