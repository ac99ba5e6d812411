"""Jobs in worker processes, where the death of a worker costs only its own job.

Decoders and detectors are C code fed with files from anywhere: one of a million will
crash it. The executors of the standard library then give up every job they hold.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

__all__ = ["JobFailure", "run_jobs"]

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class JobFailure:
    """A job that gave no result.

    Attributes:
        reason: What happened, for people.
    """

    reason: str


def run_jobs(
    function: Callable[[_Job], _Result],
    jobs: Iterable[_Job],
    num_workers: int,
) -> Iterator[tuple[_Job, _Result | JobFailure]]:
    """Runs a function on every job, several at a time.

    Jobs are taken from the iterable one by one, so it may be long. Closing the iterator
    ends the workers.

    Args:
        function: Picklable; called as `function(job)` in a worker process.
        jobs: Picklable arguments.
        num_workers: Number of processes with one thread each; 0 works in this process.

    Yields:
        Each job with its result, in the order in which they finish. A `JobFailure`
        takes the place of the result if the function raised or its process died.

    Raises:
        RuntimeError: If worker processes cannot start at all.
    """
    if num_workers == 0:
        for job in jobs:
            yield job, _call(function, job)
        return
    remaining = iter(jobs)
    workers: list[_Worker[_Job, _Result]] = []
    try:
        while True:
            workers += _assign(function, remaining, workers, num_workers)
            busy = [worker for worker in workers if worker.has_job]
            if not busy:
                return
            ready = wait([worker.connection for worker in busy])
            for worker in busy:
                if worker.connection in ready:
                    answer = worker.receive()
                    if not worker.is_alive:
                        workers.remove(worker)
                    if answer is not None:
                        yield answer
    finally:
        for worker in workers:
            worker.stop()


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
        context = multiprocessing.get_context("spawn")
        self.connection, remote = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(remote, function), daemon=True
        )
        with _one_thread_each():
            self._process.start()
        # The only other end must be the worker's, so that its death closes the pipe.
        remote.close()
        self._jobs: list[_Job] = []
        self._is_ready = False
        self.is_alive = True

    @property
    def has_job(self) -> bool:
        return bool(self._jobs)

    def send(self, job: _Job) -> None:
        self._jobs.append(job)
        # A worker that is dead already is noticed when its answer is read.
        with contextlib.suppress(OSError):
            self.connection.send(job)

    def receive(self) -> tuple[_Job, _Result | JobFailure] | None:
        """Returns the job that ended and its result; None if it has only started."""
        try:
            answer: _Result | JobFailure = self.connection.recv()
            if not self._is_ready:
                self._is_ready = True
                return None
        except (EOFError, OSError):
            self._process.join()
            self.is_alive = False
            if not self._is_ready:
                raise RuntimeError(
                    "Worker processes cannot start. A program that uses them must be a "
                    "file, with its work under `if __name__ == '__main__':`."
                ) from None
            answer = JobFailure(_describe_exit(self._process.exitcode))
        return self._jobs.pop(), answer

    def stop(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join()


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
    # Tells a process that dies at its job from one that cannot even start.
    connection.send(None)
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
        return JobFailure(f"unexpected {type(error).__name__}: {error}")


def _describe_exit(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps out of memory" if -exitcode == signal.SIGKILL else ""
        return f"its worker process was ended by {name}{hint}"
    return f"its worker process ended with status {exitcode}"
