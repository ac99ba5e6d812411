"""Options of recipes that encode the windows of many videos."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from lightly_marlin.utils.arguments import positive_integer

__all__ = ["add_window_arguments"]


def add_window_arguments(parser: ArgumentParser, out: str) -> None:
    """Adds VIDEOS, OUT, --batch-size, --workers and --device.

    Args:
        parser: Takes the options.
        out: What the folder OUT holds, for --help.
    """
    add = parser.add_argument
    add(
        "videos",
        metavar="VIDEOS",
        help="folder (searched recursively), file, or glob pattern in quotes",
    )
    add("out", metavar="OUT", type=Path, help=f"folder of the {out}")
    add(
        "--batch-size",
        type=positive_integer,
        metavar="N",
        help="windows that are encoded together (default: 1 on a CPU, 8 on a GPU)",
    )
    add(
        "--workers",
        type=int,
        metavar="N",
        help="processes that read and crop (default: one per core; 0 for this "
        "process, which a crash of a decoder then ends)",
    )
    add("--device", default="auto", help="such as cpu or cuda:1 (default: a GPU)")
