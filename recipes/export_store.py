"""Exports a face store for streaming engines.

    python recipes/export_store.py STORE OUT --format webdataset
    python recipes/export_store.py STORE OUT --format litdata

A sample is a track. WebDataset gets tars whose samples are KEY.json (the row of the
index), KEY.mov (the crops, Motion-JPEG) and an array each of frames, cells, landmarks,
boxes and angles; LitData gets chunks with the same files. Nothing is decoded or encoded
again. `pretrain_marlin.py --store OUT --stream` trains from a LitData export, in a
folder or on an object store; any WebDataset pipeline reads the tars.

--min-face, --max-yaw and the like export tracks within limits on their quality alone.
Killed and run again, the command goes on where it stopped.

Exit status: 0 done; 2 bad arguments, a store that cannot be read, or a folder that
cannot be written or holds something else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lightly_marlin.store import (
    FaceStore,
    TrackFilter,
    add_filter_options,
    export_store,
)
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, one_line, run_recipe


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Export a face store for streaming engines.")
    parser.add_argument("store", metavar="STORE", help="folder or URL of the store")
    parser.add_argument("out", metavar="OUT", help="folder to write to")
    parser.add_argument(
        "--format",
        choices=("litdata", "webdataset"),
        required=True,
        help="engine that is to read it",
    )
    parser.add_argument(
        "--megabytes",
        type=positive_integer,
        default=256,
        metavar="N",
        help="about the size of a tar or chunk (default: 256)",
    )
    parser.add_argument(
        "--workers",
        type=positive_integer,
        default=1,
        metavar="N",
        help="processes that write LitData chunks (default: 1)",
    )
    add_filter_options(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports; returns the exit status."""
    options = parse_arguments(arguments)
    store = FaceStore(options.store)
    track_filter = TrackFilter.from_options(vars(options))
    tracks = track_filter.select(store) if track_filter.limits() else None
    count = export_store(
        store,
        options.out,
        options.format,
        tracks=tracks,
        max_bytes=options.megabytes * 2**20,
        num_workers=options.workers,
    )
    parts = "tars" if options.format == "webdataset" else "chunks"
    line = f"{count} {parts} in {one_line(options.out)}"
    console.print(line, markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "faces"))
