"""Options of shards and clusters on the command line, completed from Slurm."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lightly_marlin.preparation.prepare_folder import ENGINES
from lightly_marlin.store.sharding import StoreLayout, is_face_store
from lightly_marlin.utils.arguments import natural_number, positive_integer
from lightly_marlin.utils.console import console
from lightly_marlin.utils.errors import UsageError

__all__ = ["add_shard_arguments", "shards_from_slurm"]


def add_shard_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of shards and clusters.

    Args:
        parser: The parser of a recipe.
    """
    group = parser.add_argument_group("shards and clusters")
    group.add_argument(
        "--shards",
        type=positive_integer,
        metavar="N",
        help="number of shards of a new store (default: that of the store, or 1)",
    )
    group.add_argument(
        "--shard",
        type=natural_number,
        metavar="I",
        help="prepare this shard alone, from 0 (default: SLURM_ARRAY_TASK_ID in a "
        "Slurm array, else all)",
    )
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="prepare the shards on this machine or on a Ray cluster (default: local)",
    )
    group.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="Ray cluster, auto for that of this node (default: RAY_ADDRESS, or a new "
        "one on this machine)",
    )
    group.add_argument(
        "--cpus-per-shard",
        type=positive_integer,
        default=1,
        metavar="C",
        help="cores and workers of a shard on the Ray cluster (default: 1)",
    )
    group.add_argument(
        "--retries",
        type=natural_number,
        default=3,
        metavar="R",
        help="attempts at a shard after its node died (default: 3)",
    )
    group.add_argument(
        "--scratch",
        metavar="DIR",
        help="local disk for remote videos and shards of a remote store "
        "(default: the temporary folder)",
    )


def shards_from_slurm(options: argparse.Namespace) -> tuple[int | None, int | None]:
    """Returns the number of shards and the shard to prepare, completed from Slurm.

    A task of a Slurm array prepares the shard of its own number.

    Args:
        options: The options, with `store` and those of `add_shard_arguments`.

    Returns:
        Number of shards, None for that of the store; and the number of the only shard
        to prepare, None for all.

    Raises:
        UsageError: If the number of a shard has nothing to belong to.
    """
    shards, shard = options.shards, options.shard
    task = os.environ.get("SLURM_ARRAY_TASK_ID", "")
    layout = StoreLayout.read(options.store)
    if task.isdecimal() and options.engine == "local" and shard is None:
        count = os.environ.get("SLURM_ARRAY_TASK_COUNT", "")
        is_new = layout is None and not is_face_store(Path(options.store))
        if shards is None and is_new and count.isdecimal() and int(count) > 1:
            shards = int(count)
            console.print(
                f"A store of {shards} shards, one for each task of the Slurm array. "
                "Their number stays; --shards names another one."
            )
        total = shards or (layout.num_shards if layout else 1)
        if total > 1:
            shard = int(task)
            console.print(f"Shard {shard} of {total}, by SLURM_ARRAY_TASK_ID.")
    if shard is not None and shards is None and layout is None:
        raise UsageError(
            f"--shard {shard} of how many? Name their number with --shards."
        )
    return shards, shard
