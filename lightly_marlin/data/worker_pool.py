"""Jobs in worker processes, where the death of a worker costs only its own job.

Decoders and detectors are C code fed with files from anywhere: one of a million will
crash it. The executors of the standard library then give up every job they hold.

Workers are forked from a server that has imported, with one thread, what preparation
needs. A worker of its own would spend 2.5 s of a core on it, and so would every one
that takes the place of a dead one; a fork of the program itself would copy its locks.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

__all__ = ["JobFailure", "report_progress", "run_jobs"]

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


_PRELOADED = ("lightly_marlin.data.preparation", "lightly_marlin.faces")
"""What the server of the workers imports; names, so that this module stays light."""

_STALL_SECONDS = 600.0
_BEAT_SECONDS = 1.0


@dataclass(frozen=True)
class JobFailure:
    """A job that gave no result.

    Attributes:
        reason: What happened, for people; one line.
    """

    reason: str


@dataclass(frozen=True)
class _Alive:
    """What a worker sends when it is ready, and while it gets on with a job."""


_connection: Connection | None = None
_last_beat = 0.0


def report_progress() -> None:
    """Says that the job goes on, so that it is not taken for stalled.

    To be called often by functions that `run_jobs` runs; cheap, and without effect in
    other processes than its workers.
    """
    global _last_beat
    now = time.monotonic()
    if _connection is not None and now - _last_beat > _BEAT_SECONDS:
        _last_beat = now
        _connection.send(_Alive())


def run_jobs(
    function: Callable[[_Job], _Result],
    jobs: Iterable[_Job],
    num_workers: int,
    *,
    stall_seconds: float = _STALL_SECONDS,
) -> Iterator[tuple[_Job, _Result | JobFailure]]:
    """Runs a function on every job, several at a time.

    Jobs are taken from the iterable one by one, so it may be long. Closing the iterator
    ends the workers.

    Args:
        function: Picklable; called as `function(job)` in a worker process.
        jobs: Picklable arguments.
        num_workers: Number of processes with one thread each; 0 works in this process.
        stall_seconds:
            A worker is ended if its function neither returns nor calls
            `report_progress` for so long.

    Yields:
        Each job with its result, in the order in which they finish. A `JobFailure`
        takes the place of the result if the function raised, or its process died or
        was ended.

    Raises:
        RuntimeError: If not a single worker process can start.
    """
    if num_workers == 0:
        for job in jobs:
            yield job, _call(function, job)
        return
    remaining = iter(jobs)
    workers: list[_Worker[_Job, _Result]] = []
    # Answers of workers that died before any was ready: a sign that none can start.
    early: list[tuple[_Job, _Result | JobFailure]] = []
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
    busy: list[_Worker[_Job, _Result]], stall_seconds: float
) -> list[tuple[_Worker[_Job, _Result], tuple[_Job, _Result | JobFailure] | None]]:
    """Waits a while; returns the workers that spoke or stalled with their answers."""
    # Waits are short and counted one by one: a program that was suspended for an hour
    # must not take its workers for stalled.
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
        # What a worker imports takes its time, however short the limit is.
        limit = stall_seconds if worker.is_ready else max(stall_seconds, _STALL_SECONDS)
        if worker.silent_seconds >= limit:
            reason = f"no progress for {limit / 60:g} minutes"
            heard.append((worker, worker.give_up(reason)))
    return heard


def _assign(
    function: Callable[[_Job], _Result],
    jobs: Iterator[_Job],
    workers: list[_Worker[_Job, _Result]],
    num_workers: int,
) -> list[_Worker[_Job, _Result]]:
    """Gives jobs to idle workers and starts new ones for what they do not take."""
    idle = [worker for worker in workers if not worker.has_job]
    started: list[_Worker[_Job, _Result]] = []
    while idle or len(workers) + len(started) < num_workers:
        try:
            job = next(jobs)
        except StopIteration:
            break
        if idle:
            worker = idle.pop()
        else:
            worker = _Worker(function)
            started.append(worker)
        worker.send(job)
    return started


class _Worker(Generic[_Job, _Result]):
    """One process and what it is working on."""

    def __init__(self, function: Callable[[_Job], _Result]) -> None:
        context = _context()
        self.connection, remote = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(remote, function), daemon=True
        )
        with _one_thread_each():
            self._process.start()
        # The only other end must be the worker's, so that its death closes the pipe.
        remote.close()
        self._jobs: list[_Job] = []
        self.is_ready = False
        self.is_alive = True
        self.silent_seconds = 0.0

    @property
    def has_job(self) -> bool:
        return bool(self._jobs)

    def send(self, job: _Job) -> None:
        self._jobs.append(job)
        self.silent_seconds = 0.0
        # A worker that is dead already is noticed when its answer is read.
        with contextlib.suppress(OSError):
            self.connection.send(job)

    def receive(self) -> tuple[_Job, _Result | JobFailure] | None:
        """Returns the job that ended and its result; None if it is only under way."""
        self.silent_seconds = 0.0
        try:
            answer: _Result | JobFailure | _Alive = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.is_alive = False
            when = "" if self.is_ready else " while it started"
            answer = JobFailure(_describe_exit(self._process.exitcode) + when)
        if isinstance(answer, _Alive):
            self.is_ready = True
            return None
        return self._jobs.pop(), answer

    def give_up(self, reason: str) -> tuple[_Job, JobFailure]:
        """Ends the process; returns its job and the failure."""
        self.stop()
        self.is_alive = False
        return self._jobs.pop(), JobFailure(reason)

    def stop(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join(_BEAT_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _context() -> SpawnContext | ForkServerContext:
    """Returns how processes start."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Has no effect where the program has started the server for other work.
    context.set_forkserver_preload(list(_PRELOADED))
    return context


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Makes numerical libraries in processes that start here use one thread."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    """The main function of a worker: answers jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    global _connection
    _connection = connection
    # Tells a process that dies at its job from one that cannot even start.
    connection.send(_Alive())
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(_call(function, job))


def _exit_with_parent() -> None:
    """Ends this process when its parent was killed and could not end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[[_Job], _Result], job: _Job) -> _Result | JobFailure:
    try:
        return function(job)
    except Exception as error:
        name, text = type(error).__name__, str(error).strip()
        first_line = f": {text.splitlines()[0]}" if text else ""
        return JobFailure(f"unexpected {name}{first_line}")


def _describe_exit(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps out of memory" if -exitcode == signal.SIGKILL else ""
        return f"its worker process was ended by {name}{hint}"
    return f"its worker process ended with status {exitcode}"
