"""Timing of calls: device time, peak memory, and host time to enqueue.

Device time is that of the device alone: each timed call finds a cache without its data,
and is enqueued before the device gets to it, so that no launch latency is counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

__all__ = [
    "copy_bandwidth",
    "copy_microseconds",
    "host_microseconds",
    "measure",
    "wall_microseconds",
]

_CACHE_BYTES = 256 * 2**20
_WARM_UPS = 5
# About a millisecond: calls with gradients take the host less than half of that.
_SPIN_CYCLES = 2_000_000


def measure(
    call: Callable[[], Any], device: torch.device, repeats: int
) -> dict[str, float]:
    """Times calls one by one and notes the peak of their memory.

    On a GPU, events around each call; on a CPU, the clock.

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


def copy_microseconds(device: torch.device, num_bytes: int, repeats: int) -> float:
    """Returns the median time of a copy that moves so many bytes.

    Args:
        device: Where to copy.
        num_bytes: Bytes read and written together.
        repeats: Timed copies.
    """
    size = max(1, num_bytes // 2)
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return measure(lambda: target.copy_(source), device, repeats)["median_us"]


def copy_bandwidth(device: torch.device, num_bytes: int, repeats: int) -> float:
    """Returns GB/s of a copy on the device, bytes read and written counted.

    Args:
        device: Where to copy.
        num_bytes: Bytes read and written together.
        repeats: Timed copies.
    """
    return num_bytes / copy_microseconds(device, num_bytes, repeats) / 1e3


def wall_microseconds(call: Callable[[], Any], repeats: int) -> float:
    """Returns the median time from calling to the end of the work, host included.

    Args:
        call: What to time; the device is idle before it.
        repeats: Timed calls, after a few that warm up.
    """
    for _ in range(_WARM_UPS):
        call()
    times = []
    for _ in range(repeats):
        _synchronize()
        start = time.perf_counter()
        call()
        _synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


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
    sweep = torch.zeros(_CACHE_BYTES // 4, device=device)
    pairs = []
    for _ in range(repeats):
        start, end = (_event() for _ in range(2))
        # Read, not written: lines that are to be written back would be at the call's
        # expense, up to the size of the cache.
        sweep.sum()
        # The host gets ahead meanwhile.
        torch.cuda._sleep(_SPIN_CYCLES)  # type: ignore[no-untyped-call]
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
