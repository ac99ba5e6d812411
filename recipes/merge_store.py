"""Merges the shards of a face store into one index, and several stores into one.

    python recipes/merge_store.py STORE
    python recipes/merge_store.py STORE OTHER …

Without OTHER, the shards that several machines prepared get the index and the report of
the whole store, which training reads. Every shard must be finished; those that are not
are named, and so is a tar that is cut off or belongs to another shard.

With OTHER, the videos of other stores, with shards or without, are added to STORE,
which is made if it does not exist. Two videos of one name with different content are
refused before anything is written. The result depends on the videos alone, not on the
order of the stores.

Exit status: 0 done; 2 if shards are missing or damaged, stores contradict each other,
or one cannot be read or written, with one line that says what to do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lightly_marlin.store import FaceStore, merge_shards, merge_stores
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, one_line, run_recipe


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(
        description="Merge the shards of a face store, and several stores into one."
    )
    parser.add_argument("store", metavar="STORE", help="folder or URL of the store")
    parser.add_argument(
        "others", metavar="OTHER", nargs="*", help="store whose videos are added"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Merges; returns the exit status."""
    options = parse_arguments(arguments)
    if options.others:
        merge_stores(options.others, options.store)
    else:
        merge_shards(options.store)
    store = FaceStore(options.store)
    videos = len(set(store.column("source")))
    line = f"{len(store)} tracks of {videos} videos in {one_line(options.store)}"
    console.print(line, markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "faces"))
