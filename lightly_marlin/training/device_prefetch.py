"""Batches on a GPU one step before they are needed.

A batch of 64 clips takes 3 to 6 ms to copy. On the stream of the training the GPU would
wait for it; on a stream of its own the copy happens while the step before is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lightly_marlin.utils.cores import available_cores

__all__ = ["DevicePrefetcher", "default_workers"]

_Batch = dict[str, Any]

_MOST_WORKERS = 12
"""Loader processes that feed the fastest GPU."""


def default_workers(device: torch.device, devices: int = 1) -> int:
    """Returns the number of loader processes for a device.

    Args:
        device: The device that trains. A GPU needs many; a CPU is itself the limit.
        devices: Devices of this machine that train together.
    """
    if device.type != "cuda":
        return 2
    # Two cores stay for the training itself and for what pins memory.
    return max(2, min(available_cores() // devices - 2, _MOST_WORKERS))


class DevicePrefetcher:
    """Batches of a loader on a device, copied ahead on a stream of their own.

    Args:
        loader: Batches: mappings whose tensors are copied, from pinned memory if the
            copies are to run beside the training.
        device: The device. On a CPU the batches are those of the loader.
    """

    def __init__(self, loader: Iterable[_Batch], device: torch.device) -> None:
        self.loader = loader
        self.device = device

    def __iter__(self) -> Iterator[_Batch]:
        """Yields batches, the copy of the next one under way."""
        copier = _Copier(self.device)
        batches = iter(self.loader)
        ahead = copier.start(next(batches, None))
        while ahead is not None:
            ready = ahead
            ahead = copier.start(next(batches, None))
            yield copier.finish(ready)


class _Copying(NamedTuple):
    """Batch on its way, and the event of its arrival; None on a CPU."""

    batch: _Batch
    arrival: torch.cuda.Event | None


class _Copier:
    """Copies of batches to a device, on a stream of their own if it is a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def start(self, batch: _Batch | None) -> _Copying | None:
        """Begins to copy a batch, if there is one."""
        if batch is None:
            return None
        with torch.cuda.stream(self.stream):
            copied = {
                name: value.to(self.device, non_blocking=True)
                if isinstance(value, Tensor)
                else value
                for name, value in batch.items()
            }
            arrival = None if self.stream is None else self.stream.record_event()
        return _Copying(copied, arrival)

    def finish(self, copying: _Copying) -> _Batch:
        """Makes the stream of the training wait for a batch; returns it."""
        if copying.arrival is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_event(copying.arrival)
            for value in copying.batch.values():
                if isinstance(value, Tensor):
                    # Or its memory might be given to another copy before it was read.
                    value.record_stream(current)
        return copying.batch
