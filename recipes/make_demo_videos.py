"""Writes the built-in demo clips as video files, to try the other recipes.

    python recipes/make_demo_videos.py demo_videos
    python recipes/make_demo_videos.py demo_videos --labels demo_labels.csv
    python recipes/make_demo_videos.py talking_videos --talking

A public-domain portrait talks, turns and blinks, with a different light and background
in every clip: 320x320 pixels, 25 frames per second, H.264. The videos are generated
offline; the same arguments give the same videos. --labels writes what is true of every
1.28 seconds, for evaluate.py: talking, smile, brow, nod (0 or 1) and the opening of the
mouth, taken from the curves that move the face.

--talking writes other clips, with sound: the mouth speaks irregular syllables, and a
voice is as loud as it is open. They are for lip synchronisation; no labels describe
them.

Exit status: 0 done; 2 bad arguments, or a folder that cannot be written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lightly_marlin.demo import write_demo_labels, write_demo_videos
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options of the command line."""
    parser = RecipeParser(description="Write the built-in demo clips as video files.")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the videos")
    parser.add_argument(
        "--clips",
        metavar="N",
        type=positive_integer,
        default=4,
        help="number of videos (default: 4)",
    )
    parser.add_argument(
        "--frames",
        metavar="N",
        type=positive_integer,
        default=64,
        help="frames of each (default: 64)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the motion")
    parser.add_argument(
        "--labels", metavar="CSV", type=Path, help="file for the labels of the clips"
    )
    parser.add_argument(
        "--talking", action="store_true", help="write clips that talk, with their sound"
    )
    options = parser.parse_args(arguments)
    if options.talking and options.labels is not None:
        parser.error("--labels describes the clips without sound: drop --talking")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the videos; returns the exit status."""
    options = parse_arguments(arguments)
    clips = {
        "num_clips": options.clips,
        "num_frames": options.frames,
        "seed": options.seed,
    }
    place = f"folder {options.out}"
    try:
        paths = write_demo_videos(options.out, **clips, talking=options.talking)
        if options.labels is not None:
            place = f"file {options.labels}"
            write_demo_labels(options.labels, **clips)
    except OSError as error:
        raise UsageError(
            f"The {place} cannot be written: {error.strerror or error}. Choose another."
        ) from error
    console.print(f"{len(paths)} videos in {options.out}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "demo"))
