"""Costs of stores of many videos, calculated from measured constants.

    python recipes/benchmarks/scale_costs.py

Prints the table of docs/scale.md, which `readme_table.py --write` puts there. Every
video is taken to last 10 seconds at 30 frames a second and 1280x720 pixels, and to show
one face all the time; shards to hold 1,000 videos. Sizes of frames, of the index and
speeds are those of the committed results; nothing here is measured at these numbers of
videos, and neither networks nor file systems of clusters are in it.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from lightly_marlin.store.tar_members import TAR_BLOCK

__all__ = ["cost_table", "costs"]

NUMBERS = (10**5, 10**6, 10**8)
FRAMES = 300
VIDEOS_PER_SHARD = 1000
FILES_OF_A_TRACK = 7
FILES_OF_A_SHARD = 3
READS_OF_A_CLIP = 3
SIZE = "1280x720"


def costs(
    num_videos: int,
    loader: dict[str, Any],
    faces: dict[str, Any],
    scale: dict[str, Any],
) -> dict[str, str]:
    """Returns what a store costs, by what it is, as text.

    Args:
        num_videos: Number of its videos.
        loader: Result of loader.py.
        faces: Result of faces.py.
        scale: Result of store_scale.py.
    """
    share = num_videos / scale["rows"]
    frame = loader["bytes_per_frame"]["ours"]
    shards = -(-num_videos // VIDEOS_PER_SHARD)
    rate = statistics.median(
        row["ways"]["ours"]["median"] for row in faces["speed"] if row["size"] == SIZE
    )
    resuming = scale["resuming_microseconds_a_video"]
    parquet = scale["index"]["open Parquet instead"]
    hours = num_videos * FRAMES / rate / 3600
    headers = num_videos * (FILES_OF_A_TRACK - 1) * TAR_BLOCK
    return {
        "crops, regions, landmarks": size_text(num_videos * FRAMES * frame),
        "more by the tars' headers": size_text(headers),
        "files, loose": count_text(num_videos * FILES_OF_A_TRACK),
        f"files, in shards of {VIDEOS_PER_SHARD:,}": count_text(
            shards * FILES_OF_A_SHARD
        ),
        "size of a shard": size_text(VIDEOS_PER_SHARD * FRAMES * frame),
        "preparation, hours of one core": count_text(num_videos * FRAMES / rate / 3600),
        "the same, on 1,000 cores": time_text(3.6 * hours),
        "finding what is done, loose files": time_text(
            num_videos * resuming["loose"] / 1e6
        ),
        "the same from finished shards": time_text(
            num_videos * resuming["shards"] / 1e6
        ),
        "index, Parquet": size_text(share * scale["bytes"]["index.parquet"]),
        "index, Arrow": size_text(share * scale["bytes"]["index.arrow"]),
        "memory of each process, mapped": "1 MiB",
        "memory of each process, if it read Parquet": size_text(
            share * parquet["mib"] * 2**20
        ),
        "requests of an epoch, clips read from a bucket": count_text(
            num_videos * READS_OF_A_CLIP
        ),
        "requests of an epoch, whole shards": count_text(shards),
    }


def cost_table(
    loader: dict[str, Any], faces: dict[str, Any], scale: dict[str, Any]
) -> str:
    """Returns the table as Markdown.

    Args:
        loader: Result of loader.py.
        faces: Result of faces.py.
        scale: Result of store_scale.py.
    """
    columns = [costs(number, loader, faces, scale) for number in NUMBERS]
    head = "| | " + " | ".join(f"{n:,} videos" for n in NUMBERS) + " |"
    lines = [head, "|---|" + "---|" * len(NUMBERS)]
    for name in columns[0]:
        lines.append(f"| {name} | " + " | ".join(one[name] for one in columns) + " |")
    return "\n".join(lines) + "\n"


def size_text(number: float) -> str:
    """Returns bytes with two digits and a unit."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 999.5:
            return f"{float(f'{number:.2g}'):g} {unit}"
        number /= 1000
    return f"{float(f'{number:.2g}'):g} PB"


def count_text(number: float) -> str:
    """Returns a number with two digits."""
    return f"{float(f'{number:.2g}'):,.0f}"


def time_text(seconds: float) -> str:
    """Returns a duration with two digits and a unit."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{float(f'{seconds / length:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} s"


def main() -> None:
    """Prints the table."""
    from readme_table import read_result

    parser = argparse.ArgumentParser(description="Print the costs of large stores.")
    parser.add_argument("--machine", default="amd-epyc-2-cores")
    machine = parser.parse_args().machine
    suites = ("loader", "faces", "store_scale")
    print(cost_table(*(read_result(suite, machine) for suite in suites)))


if __name__ == "__main__":
    main()
