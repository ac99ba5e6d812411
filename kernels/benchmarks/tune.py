"""Times of our kernels with several sizes of tiles, to choose the defaults by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lightly_marlin.kernels.benchmarks.cases import make_cases
from lightly_marlin.kernels.benchmarks.suite import (
    describe_suite,
    measure_way,
    require_kernels,
)
from lightly_marlin.kernels.benchmarks.timing import copy_microseconds
from lightly_marlin.kernels.benchmarks.workload import Workload
from lightly_marlin.kernels.tiles import DEFAULT_TILES, parse_tiles, use_tiles

__all__ = ["CANDIDATES", "tune_tiles"]

CANDIDATES = (
    DEFAULT_TILES,
    parse_tiles("rows=1024/512,tubelets=1024/512"),
    parse_tiles("rows=2048/1024,tubelets=1024/128"),
    parse_tiles("rows=4096/512,tubelets=256/256"),
    parse_tiles("rows=4096/1024,tubelets=256/128"),
    parse_tiles("rows=1024/256,tubelets=512/64"),
)
"""Sizes to try. A tubelet of 2 x 16 x 16 pixels gets 2, 1, 4, 1, 2 and 8 warps, in the
fourth and the fifth for one half of it after the other."""


def tune_tiles(
    workload: Workload,
    batch_sizes: list[int],
    device: torch.device,
    *,
    repeats: int,
    tell: Callable[[str], None],
    save: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Measures our operations with each of `CANDIDATES`.

    Args:
        workload: Sizes of the clips and the model.
        batch_sizes: Clips B, ascending.
        device: Device to measure on.
        repeats: Timed calls.
        tell: Called with what is being done.
        save: Called with the result so far after every operation.

    Returns:
        As `run_suite`, without host and graph; each row names its `tiles`.

    Raises:
        WrongResultError: As `run_suite`.
    """
    with require_kernels(device):
        result = describe_suite("tiles", device, repeats)
        for batch_size in batch_sizes:
            for case in make_cases(workload, batch_size, device, with_compile=False):
                copy_us = copy_microseconds(device, case.num_bytes, repeats)
                for sizes in CANDIDATES:
                    tell(f"batch {batch_size}, {case.name}: {sizes}")
                    with use_tiles(sizes):
                        row = measure_way(case, "ours", device, repeats, copy_us)
                    row = {"batch_size": batch_size, "tiles": str(sizes), **row}
                    result["operations"].append(row)
                save(result)
    return result
