"""Jobs in worker processes, where the death of a worker costs only its own job.

Decoders and detectors are C code fed with files from anywhere: one in a million will
crash it. The standard library's executors then abandon all their jobs.

A job has one result (`run_jobs`), or yields items one by one (`stream_jobs`): then a
worker waits until its item is taken, so at most two per worker are in memory.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TypeVar

from lightly_marlin.jobs.worker_process import (
    JobFailure,
    Part,
    Worker,
    call_job,
    report_progress,
    send_items,
    to_failure,
)

__all__ = [
    "JobEnd",
    "JobFailure",
    "report_progress",
    "run_jobs",
    "stream_jobs",
]

_Item = TypeVar("_Item")
_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

_STALL_SECONDS = 600.0


@dataclass(frozen=True)
class JobEnd:
    """End of a job's items.

    Attributes:
        failure: Why the job ended early; None if it completed.
    """

    failure: JobFailure | None = None


def run_jobs(
    function: Callable[[_Job], _Result],
    jobs: Iterable[_Job],
    num_workers: int,
    *,
    stall_seconds: float = _STALL_SECONDS,
) -> Iterator[tuple[_Job, _Result | JobFailure]]:
    """Runs a function on every job, in parallel.

    Jobs are taken from the iterable one by one, so it may be long. Closing the iterator
    ends the workers.

    Args:
        function: Picklable; called as `function(job)` in a worker process.
        jobs: Picklable arguments.
        num_workers: Number of processes with one thread each; 0 works in this process.
        stall_seconds:
            A worker is terminated if its function neither returns nor calls
            `report_progress` for this long.

    Yields:
        Each job with its result, in the order in which they finish. The result is a
        `JobFailure` if the function raised, or its process died or was terminated.

    Raises:
        RuntimeError: If not a single worker process can start.
    """
    if num_workers == 0:
        for job in jobs:
            yield job, call_job(function, job)
        return
    for job, answer in _run_in_workers(function, jobs, num_workers, stall_seconds):
        if not isinstance(answer, Part):
            yield job, answer


def stream_jobs(
    function: Callable[[_Job], Iterable[_Item]],
    jobs: Iterable[_Job],
    num_workers: int,
    *,
    stall_seconds: float = _STALL_SECONDS,
) -> Generator[tuple[_Job, _Item | JobEnd], None, None]:
    """Runs a function that yields items on every job, in parallel.

    Jobs are taken from the iterable one by one, so it may be long. Closing the iterator
    ends the workers.

    Args:
        function: Picklable; what `function(job)` returns is iterated in a worker.
        jobs: Picklable arguments.
        num_workers: Number of processes with one thread each; 0 works in this process.
        stall_seconds: Limit without progress, as for `run_jobs`; an item is progress
            too, and time spent waiting for the consumer does not count.

    Yields:
        Each job with its items, in their order, then with its `JobEnd`, which holds the
        failure if the function raised, or its process died or was terminated. The items
        of several jobs interleave.

    Raises:
        RuntimeError: If not a single worker process can start.
    """
    if num_workers == 0:
        for job in jobs:
            yield from _stream_here(function, job)
        return
    run = functools.partial(send_items, function)
    for job, answer in _run_in_workers(run, jobs, num_workers, stall_seconds):
        if isinstance(answer, Part):
            yield job, answer.value
        else:
            # The function itself returns nothing.
            yield job, JobEnd(answer)


def _stream_here(
    function: Callable[[_Job], Iterable[_Item]], job: _Job
) -> Iterator[tuple[_Job, _Item | JobEnd]]:
    try:
        for item in function(job):
            yield job, item
    except Exception as error:
        yield job, JobEnd(to_failure(error))
    else:
        yield job, JobEnd()


def _run_in_workers(
    function: Callable[[_Job], _Result],
    jobs: Iterable[_Job],
    num_workers: int,
    stall_seconds: float,
) -> Iterator[tuple[_Job, _Result | JobFailure | Part]]:
    """Yields like `run_jobs`, and each `Part` that a worker sends before its result."""
    remaining = iter(jobs)
    workers: list[Worker[_Job, _Result]] = []
    # Workers that died before any was ready: a sign that none can start.
    early: list[tuple[_Job, _Result | JobFailure | Part]] = []
    can_start = False
    try:
        while True:
            room = len(workers) if early else num_workers
            workers += _assign(function, remaining, workers, room)
            busy = [worker for worker in workers if worker.has_job]
            if not busy:
                break
            for worker, answer in _await(busy, stall_seconds):
                can_start = can_start or worker.is_ready
                if not worker.is_alive:
                    workers.remove(worker)
                if answer is not None:
                    early.append(answer)
            if can_start:
                yield from early
                early.clear()
    finally:
        for worker in workers:
            worker.stop()
    if early:
        raise RuntimeError(
            "Worker processes cannot start. A program that uses them must be a file, "
            "with its work under `if __name__ == '__main__':`."
        )


def _await(
    busy: list[Worker[_Job, _Result]], stall_seconds: float
) -> list[
    tuple[Worker[_Job, _Result], tuple[_Job, _Result | JobFailure | Part] | None]
]:
    """Waits briefly; returns the workers that answered or stalled, with answers."""
    # Waits are short and counted individually: a program that was suspended for an hour
    # must not treat its workers as stalled.
    patience = stall_seconds / 10
    started = time.monotonic()
    ready = wait([worker.connection for worker in busy], patience)
    waited = min(time.monotonic() - started, patience)
    heard = []
    for worker in busy:
        if worker.connection in ready:
            heard.append((worker, worker.receive()))
            continue
        worker.silent_seconds += waited
        # A worker's imports take time, however short the limit is.
        limit = stall_seconds if worker.is_ready else max(stall_seconds, _STALL_SECONDS)
        if worker.silent_seconds >= limit:
            reason = f"no progress for {limit / 60:g} minutes"
            heard.append((worker, worker.give_up(reason)))
    return heard


def _assign(
    function: Callable[[_Job], _Result],
    jobs: Iterator[_Job],
    workers: list[Worker[_Job, _Result]],
    num_workers: int,
) -> list[Worker[_Job, _Result]]:
    """Gives jobs to idle workers and starts new workers for the remaining jobs."""
    idle = [worker for worker in workers if not worker.has_job]
    started: list[Worker[_Job, _Result]] = []
    while idle or len(workers) + len(started) < num_workers:
        try:
            job = next(jobs)
        except StopIteration:
            break
        if idle:
            worker = idle.pop()
        else:
            worker = Worker(function)
            started.append(worker)
        worker.send(job)
    return started
