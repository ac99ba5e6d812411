"""Exclusive lock on a folder: one process writes to it at a time.

The operating system releases the lock when its process ends, however it ends: there are
no stale lock files.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from lightly_marlin.utils.errors import UsageError

__all__ = ["LOCK_NAME", "Lock", "take_lock", "wait_for_lock"]

LOCK_NAME = ".lock"


_POLL_SECONDS = 0.2


class Lock(Protocol):
    """Lock that is held until it is closed or the process ends."""

    def close(self) -> None:
        """Releases the lock."""


def take_lock(folder: Path, kind: str) -> Lock:
    """Locks a folder for this process.

    Args:
        folder: An existing folder.
        kind: The folder's kind for the error message, such as "store".

    Returns:
        The lock.

    Raises:
        UsageError: If another process holds it, or the file system has no locks.
        OSError: If the folder cannot be written.
    """
    try:
        return _lock(folder / LOCK_NAME)
    except BlockingIOError:
        raise UsageError(
            f"Another process is writing to the {kind} {folder}. Wait for it, or "
            f"choose another {kind}."
        ) from None
    except _NoLockError as error:
        raise UsageError(
            f"The file system of the {kind} {folder} has no locks ({error}), without "
            "which two processes could write to it at once. Choose a folder on another "
            "file system."
        ) from error


@contextlib.contextmanager
def wait_for_lock(folder: Path, kind: str, seconds: float = math.inf) -> Iterator[None]:
    """Locks a folder for a block, as soon as no other process holds it.

    Args:
        folder: An existing folder.
        kind: The folder's kind for the error message, such as "store".
        seconds: How long to wait.

    Raises:
        UsageError: If another process holds it for longer, or the file system has no
            locks.
        OSError: If the folder cannot be written.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            lock = take_lock(folder, kind)
            break
        except UsageError as error:
            if error.__cause__ is not None or time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        lock.close()


class _NoLockError(Exception):
    """Error for a file system without locks, with the reason."""


def _lock(path: Path) -> Lock:
    """Locks a file, creating it if missing; raises BlockingIOError if it is held."""
    file = path.open("ab")
    try:
        import fcntl
    except ModuleNotFoundError:
        # Exists on POSIX only.
        file.close()
        return _lock_with_sqlite(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    except OSError as error:
        file.close()
        raise _NoLockError(error.strerror) from error
    return file


def _lock_with_sqlite(path: Path) -> Lock:
    """Locks a file with the transaction of an empty database.

    SQLite supports the locks of every system, and writes nothing in a transaction
    without changes.
    """
    import sqlite3

    # Another thread may close it.
    database = sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False
    )
    try:
        database.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        database.close()
        if str(error) == "database is locked":
            raise BlockingIOError from error
        raise _NoLockError(str(error)) from error
    return database
