"""Checks and measures everything; the result is plain values for JSON."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lightly_marlin.kernels.benchmarks.cases import Case, make_cases
from lightly_marlin.kernels.benchmarks.graph import measure_graph
from lightly_marlin.kernels.benchmarks.machine import describe_machine, device_name
from lightly_marlin.kernels.benchmarks.timing import (
    copy_bandwidth,
    copy_microseconds,
    host_microseconds,
    measure,
)
from lightly_marlin.kernels.benchmarks.verify import TOLERANCE, largest_error
from lightly_marlin.kernels.benchmarks.workload import Workload
from lightly_marlin.kernels.dispatch import (
    KERNELS_VARIABLE,
    KernelFallbackError,
    find_fallbacks,
    kernels_are_off,
)
from lightly_marlin.kernels.tiles import current_tiles

__all__ = [
    "WrongResultError",
    "describe_suite",
    "measure_way",
    "require_kernels",
    "run_suite",
]

_COPY_BYTES = {"cuda": 2**31, "cpu": 2**24}


class WrongResultError(Exception):
    """A result differs from the reference, or is not that of a kernel."""


def run_suite(
    workload: Workload,
    batch_sizes: list[int],
    device: torch.device,
    *,
    repeats: int,
    with_compile: bool,
    tell: Callable[[str], None],
    save: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Measures all operations at all batch sizes.

    Args:
        workload: Sizes of the clips and the model.
        batch_sizes: Clips B, ascending.
        device: Device to measure on.
        repeats: Timed calls of each way.
        with_compile: Whether to measure `torch.compile` too.
        tell: Called with what is being done.
        save: Called with the result so far after every operation.

    Returns:
        Machine, device, copy bandwidth, a row for every operation, batch size and way
        with the time of a copy of as many bytes, the host's time per call, and on a GPU
        the captured step.

    Raises:
        WrongResultError: If a way differs from the reference in float64, or on a GPU
            a kernel was replaced by its plain version. The latter is found before
            anything is measured.
    """
    with require_kernels(device):
        tell("kernels, values")
        _check_ours(workload, batch_sizes[0], device)
        result = describe_suite("kernels", device, repeats)
        rows = result["operations"]
        for batch_size in batch_sizes:
            cases = make_cases(workload, batch_size, device, with_compile=with_compile)
            for case in cases:
                copy_us = copy_microseconds(device, case.num_bytes, repeats)
                for way in case.ways:
                    tell(f"batch {batch_size}, {case.name}: {way}")
                    row = measure_way(case, way, device, repeats, copy_us)
                    rows.append({"batch_size": batch_size, **row})
                save(result)
            del cases, case
            gc.collect()
        tell("host, graph")
        result["host_us"] = _host_times(workload, device)
        if device.type == "cuda":
            result["graph"] = measure_graph(workload, batch_sizes[0], device, repeats)
    return result


def describe_suite(suite: str, device: torch.device, repeats: int) -> dict[str, Any]:
    """Returns what a result says beside its rows, and no rows yet.

    Args:
        suite: Name of the suite.
        device: Device to measure on.
        repeats: Timed calls of each way.
    """
    return {
        "suite": suite,
        "machine": describe_machine(),
        "device": device_name(device),
        "dtype": "bfloat16",
        "tiles": str(current_tiles()),
        "repeats": repeats,
        "copy_gb_per_s": copy_bandwidth(device, _COPY_BYTES[device.type], repeats),
        "operations": [],
    }


def measure_way(
    case: Case, way: str, device: torch.device, repeats: int, copy_us: float
) -> dict[str, Any]:
    """Checks and times one way; returns a row of the result.

    Args:
        case: The operation with its inputs.
        way: A word of `WAYS`.
        device: Device to measure on.
        repeats: Timed calls.
        copy_us: Microseconds of a copy of as many bytes.

    Raises:
        WrongResultError: If the result differs from the reference.
    """
    function = case.ways[way]
    error = _check(case, way)
    row = measure(lambda: function(**case.inputs), device, repeats)
    return {
        "operation": case.name,
        "way": way,
        "bytes": case.num_bytes,
        "error": error,
        **row,
        "copy_us": copy_us,
        "share_of_copy": copy_us / row["median_us"],
    }


@contextmanager
def require_kernels(device: torch.device) -> Iterator[None]:
    """Runs kernels in strict mode: none is replaced on a GPU while this is active.

    Args:
        device: Device to measure on; nothing is required of a CPU.

    Raises:
        WrongResultError: If the kernels are off, or one was or would be replaced.
    """
    if device.type != "cuda":
        yield
        return
    if kernels_are_off():
        raise WrongResultError(f"the kernels are off: {KERNELS_VARIABLE} is 0")
    before = os.environ.get(KERNELS_VARIABLE)
    os.environ[KERNELS_VARIABLE] = "strict"
    try:
        # What fell back before is not tried again where its kernel failed.
        for name, reason in find_fallbacks():
            raise WrongResultError(f"{name} ran in plain PyTorch: {reason}")
        yield
    except KernelFallbackError as error:
        raise WrongResultError(str(error)) from error
    finally:
        os.environ.pop(KERNELS_VARIABLE)
        if before is not None:
            os.environ[KERNELS_VARIABLE] = before


def _check_ours(workload: Workload, batch_size: int, device: torch.device) -> None:
    """Runs every operation of ours once, so that faults show before hours of work."""
    for case in make_cases(workload, batch_size, device, with_compile=False):
        _check(case, "ours")


def _check(case: Case, way: str) -> float:
    error = largest_error(case, case.ways[way])
    if not error <= TOLERANCE:
        raise WrongResultError(
            f"{case.name}, {way}: the result differs from the reference by "
            f"{error:.2g} of its size, allowed is {TOLERANCE:.2g}"
        )
    return error


def _host_times(
    workload: Workload, device: torch.device
) -> dict[str, dict[str, float]]:
    """Returns microseconds per call of one clip, by operation and way."""
    times: dict[str, dict[str, float]] = {}
    for case in make_cases(workload, 1, device, with_compile=False):
        times[case.name] = {
            way: host_microseconds(lambda f=function, c=case: f(**c.inputs), 100)  # type: ignore[misc]
            for way, function in case.ways.items()
        }
    return times
