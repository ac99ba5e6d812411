"""Worker process that runs jobs, and whose death costs only its current one.

Workers are forked from a single-threaded server that has imported the modules of
preparation. Otherwise every worker, and every replacement of a dead one, would spend
2.5 s of a core on these imports; a fork of the program itself would copy its locks.
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
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

__all__ = [
    "JobFailure",
    "Part",
    "Worker",
    "call_job",
    "report_progress",
    "send_items",
    "to_failure",
]

_Item = TypeVar("_Item")
_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_PRELOADED = ("lightly_marlin.preparation.prepare_video", "lightly_marlin.faces")
"""Modules that the workers' server imports; by name, to keep this module light."""

_BEAT_SECONDS = 1.0


@dataclass(frozen=True)
class JobFailure:
    """Failure of a job without a result.

    Attributes:
        reason: Readable reason in one line.
    """

    reason: str


@dataclass(frozen=True)
class Part:
    """Item that a worker sends while its job continues.

    Attributes:
        value: The item.
    """

    value: Any


@dataclass(frozen=True)
class _Alive:
    """Message of a worker that it is ready or that its job makes progress."""


_connection: Connection | None = None
_last_beat = 0.0


def report_progress() -> None:
    """Reports progress of the current job, which would otherwise count as stalled.

    Call it often in functions that run in workers; it is cheap, and does nothing in
    other processes.
    """
    global _last_beat
    now = time.monotonic()
    if _connection is not None and now - _last_beat > _BEAT_SECONDS:
        _last_beat = now
        _connection.send(_Alive())


def send_items(function: Callable[[_Job], Iterable[_Item]], job: _Job) -> None:
    """Sends the items of a job as they arrive; runs in a worker.

    Args:
        function: Function whose `function(job)` yields the items, which are picklable.
        job: Its argument.
    """
    assert _connection is not None
    for item in function(job):
        # Blocks until the other side has taken what does not fit into the pipe.
        _connection.send(Part(item))


class Worker(Generic[_Job, _Result]):
    """One process and its current job.

    Attributes:
        connection: Pipe that is readable when the process has sent something or died.
        is_ready: Whether it has started and can take jobs.
        is_alive: False once it has been found dead.
        silent_seconds: Time spent waiting for it without an answer.
    """

    def __init__(self, function: Callable[[_Job], _Result]) -> None:
        """Starts the process.

        Args:
            function: Picklable; called as `function(job)` in the process.
        """
        context = _context()
        self.connection, remote = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(remote, function), daemon=True
        )
        with _one_thread_each():
            self._process.start()
        # The worker must hold the only other end, so that its death closes the pipe.
        remote.close()
        self._jobs: list[_Job] = []
        self.is_ready = False
        self.is_alive = True
        self.silent_seconds = 0.0

    @property
    def has_job(self) -> bool:
        """True if it has a job."""
        return bool(self._jobs)

    def send(self, job: _Job) -> None:
        """Gives it a job."""
        self._jobs.append(job)
        self.silent_seconds = 0.0
        # A worker that is already dead is noticed when its answer is read.
        with contextlib.suppress(OSError):
            self.connection.send(job)

    def receive(self) -> tuple[_Job, _Result | JobFailure | Part] | None:
        """Returns its job with the message about it; None for a sign of life.

        Any message but a `Part` ends the job.
        """
        self.silent_seconds = 0.0
        try:
            answer: _Result | JobFailure | Part | _Alive = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.is_alive = False
            when = "" if self.is_ready else " while it started"
            answer = JobFailure(_describe_exit(self._process.exitcode) + when)
        if isinstance(answer, _Alive):
            self.is_ready = True
            return None
        if isinstance(answer, Part):
            return self._jobs[-1], answer
        return self._jobs.pop(), answer

    def give_up(self, reason: str) -> tuple[_Job, JobFailure]:
        """Ends the process; returns its job and the failure."""
        self.stop()
        self.is_alive = False
        return self._jobs.pop(), JobFailure(reason)

    def stop(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self.connection.close()
        self._process.join(_BEAT_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _context() -> SpawnContext | ForkServerContext:
    """Returns the context that starts processes."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Has no effect if the program has already started the server for other work.
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
    # Distinguishes a process that dies during its job from one that cannot start.
    connection.send(_Alive())
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        answer = call_job(function, job)
        try:
            connection.send(answer)
        except OSError:
            # The program was killed or has stopped reading: nobody is left to report
            # to.
            return


def _exit_with_parent() -> None:
    """Ends this process when its parent was killed and could not end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def call_job(function: Callable[[_Job], _Result], job: _Job) -> _Result | JobFailure:
    """Returns the result of a function, or a failure if it raises."""
    try:
        return function(job)
    except Exception as error:
        return to_failure(error)


def to_failure(error: Exception) -> JobFailure:
    """Describes in one line an exception that a function raised."""
    name, text = type(error).__name__, str(error).strip()
    first_line = f": {text.splitlines()[0]}" if text else ""
    return JobFailure(f"unexpected {name}{first_line}")


def _describe_exit(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps out of memory" if -exitcode == signal.SIGKILL else ""
        return f"its worker process was ended by {name}{hint}"
    return f"its worker process ended with status {exitcode}"
