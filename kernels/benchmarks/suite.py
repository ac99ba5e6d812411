"""Checks and measures everything; the result is plain values for JSON."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch

from lightly_marlin.kernels.benchmarks.cases import Case, make_cases
from lightly_marlin.kernels.benchmarks.graph import measure_graph
from lightly_marlin.kernels.benchmarks.machine import describe_machine, device_name
from lightly_marlin.kernels.benchmarks.timing import (
    copy_bandwidth,
    host_microseconds,
    measure,
)
from lightly_marlin.kernels.benchmarks.verify import TOLERANCE, largest_error
from lightly_marlin.kernels.benchmarks.workload import Workload
from lightly_marlin.kernels.dispatch import (
    KERNELS_VARIABLE,
    find_fallbacks,
    kernels_are_off,
)

__all__ = ["WrongResultError", "run_suite"]

_COPY_BYTES = {"cuda": 2**30, "cpu": 2**24}


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
) -> dict[str, Any]:
    """Measures all operations at all batch sizes.

    Args:
        workload: Sizes of the clips and the model.
        batch_sizes: Clips B, ascending.
        device: Device to measure on.
        repeats: Timed calls of each way.
        with_compile: Whether to measure `torch.compile` too.
        tell: Called with what is being done.

    Returns:
        Machine, device, copy bandwidth, a row for every operation, batch size and way,
        the host's time per call, and on a GPU the captured step.

    Raises:
        WrongResultError: If a way differs from the reference in float64, or on a GPU
            a kernel was replaced by its plain version.
    """
    rows = []
    for batch_size in batch_sizes:
        cases = make_cases(workload, batch_size, device, with_compile=with_compile)
        for case in cases:
            for way in case.ways:
                tell(f"batch {batch_size}, {case.name}: {way}")
                row = _measure_way(case, way, device, repeats)
                rows.append({"batch_size": batch_size, **row})
        del cases, case
        gc.collect()
    tell("copy bandwidth, host, graph")
    bandwidth = copy_bandwidth(device, _COPY_BYTES[device.type], repeats)
    for row in rows:
        best = row["bytes"] / bandwidth / 1e3
        row["share_of_copy"] = best / row["median_us"]
    result: dict[str, Any] = {
        "suite": "kernels",
        "machine": describe_machine(),
        "device": device_name(device),
        "dtype": "bfloat16",
        "repeats": repeats,
        "copy_gb_per_s": bandwidth,
        "operations": rows,
        "host_us": _host_times(workload, device),
    }
    if device.type == "cuda":
        result["graph"] = measure_graph(workload, batch_sizes[0], device, repeats)
        _check_kernels()
    return result


def _measure_way(
    case: Case, way: str, device: torch.device, repeats: int
) -> dict[str, Any]:
    """Checks and times one way; returns a row of the result."""
    function = case.ways[way]
    error = _check(case, way, function)
    row = measure(lambda: function(**case.inputs), device, repeats)
    return {
        "operation": case.name,
        "way": way,
        "bytes": case.num_bytes,
        "error": error,
        **row,
    }


def _check(case: Case, way: str, function: Callable[..., Any]) -> float:
    error = largest_error(case, function)
    if not error <= TOLERANCE:
        raise WrongResultError(
            f"{case.name}, {way}: the result differs from the reference by "
            f"{error:.2g} of its size, allowed is {TOLERANCE:.2g}"
        )
    return error


def _check_kernels() -> None:
    if kernels_are_off():
        raise WrongResultError(f"the kernels are off: {KERNELS_VARIABLE} is 0")
    fallbacks = find_fallbacks()
    if fallbacks:
        name, reason = fallbacks[0]
        raise WrongResultError(f"{name} ran in plain PyTorch: {reason}")


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
