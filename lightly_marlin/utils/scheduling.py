"""Scheduling of a thread that libraries must not change."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["keep_scheduling"]


@contextlib.contextmanager
def keep_scheduling() -> Iterator[None]:
    """Restores the scheduling of the calling thread afterwards, on Linux.

    For the superuser, the AV1 encoder SVT-AV1 makes the thread that opens it real-time,
    and leaves it so. Threads that it starts later inherit that, and where they wait for
    each other in loops, as those of PyTorch do, nothing else gets the processor.
    """
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if (os.sched_getscheduler(0), os.sched_getparam(0)) != before:
            os.sched_setscheduler(0, *before)
