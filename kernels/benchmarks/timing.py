"""Timing of calls: device time, peak memory, and host time to enqueue."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["copy_bandwidth", "host_microseconds", "measure"]

_CACHE_BYTES = 256 * 2**20
_WARM_UPS = 5


def measure(
    call: Callable[[], Any], device: torch.device, repeats: int
) -> dict[str, float]:
    """Times calls one by one and notes the peak of their memory.

    On a GPU, events around each call, with the cache overwritten before it; on a CPU,
    the clock.

    Args:
        call: What to time.
        device: Where it runs.
        repeats: Timed calls, after a few that warm up.

    Returns:
        `median_us`, `quartile_1_us` and `quartile_3_us`, and on a GPU `peak_mib`, what
        a call allocates at most beyond what is there before it.
    """
    for _ in range(_WARM_UPS):
        call()
    times = (_gpu_times if device.type == "cuda" else _cpu_times)(call, device, repeats)
    low, median, high = statistics.quantiles(times, n=4)
    result = {"median_us": median, "quartile_1_us": low, "quartile_3_us": high}
    if device.type == "cuda":
        result["peak_mib"] = _peak_mib(call, device)
    return result


def copy_bandwidth(device: torch.device, num_bytes: int, repeats: int) -> float:
    """Returns GB/s of a copy on the device, bytes read and written counted.

    Args:
        device: Where to copy.
        num_bytes: Size of the copy.
        repeats: Timed copies.
    """
    source = torch.ones(num_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    row = measure(lambda: target.copy_(source), device, repeats)
    return 2 * num_bytes / row["median_us"] / 1e3


def host_microseconds(call: Callable[[], Any], calls: int, rounds: int = 5) -> float:
    """Returns how long the host takes to enqueue a call: the median of some rounds.

    Args:
        call: Something small, so that the device never makes the host wait.
        calls: Calls of a round.
        rounds: Rounds.
    """
    call()
    seconds = []
    for _ in range(rounds):
        _synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        seconds.append(time.perf_counter() - start)
    _synchronize()
    return statistics.median(seconds) / calls * 1e6


def _cpu_times(
    call: Callable[[], Any], device: torch.device, repeats: int
) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    return times


def _gpu_times(
    call: Callable[[], Any], device: torch.device, repeats: int
) -> list[float]:
    cache = torch.empty(_CACHE_BYTES, dtype=torch.uint8, device=device)
    pairs = []
    for _ in range(repeats):
        start, end = (_event() for _ in range(2))
        # Also keeps the device busy until the call is enqueued.
        cache.zero_()
        start.record()
        call()
        end.record()
        pairs.append((start, end))
    torch.cuda.synchronize(device)
    return [start.elapsed_time(end) * 1e3 for start, end in pairs]


def _event() -> Any:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _peak_mib(call: Callable[[], Any], device: torch.device) -> float:
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
