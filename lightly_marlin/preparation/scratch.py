"""Scratch on a local disk: remote videos, and unfinished shards of remote stores.

Its folder is named after the store, so a later run finds what a killed one left: to go
on with it, or to remove it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lightly_marlin.utils.errors import UsageError

__all__ = ["fetch_folder", "scratch_error", "scratch_folder"]


def scratch_folder(scratch: Path | None, store: Path | str) -> Path:
    """Returns the folder for what is temporary of a store, the same in every run.

    Args:
        scratch: Folder on a local disk; None for the system's temporary one.
        store: Absolute path or URL of the store.
    """
    digest = hashlib.blake2b(os.fsencode(store), digest_size=6).hexdigest()
    user = os.getuid() if hasattr(os, "getuid") else "user"
    # Others may use the same disk.
    name = f"lightly_marlin-{user}-{digest}"
    return Path(tempfile.gettempdir() if scratch is None else scratch).absolute() / name


@contextlib.contextmanager
def fetch_folder(folder: Path | None) -> Iterator[Path | None]:
    """Yields an empty folder for remote videos, removed afterwards.

    Args:
        folder: The folder, which belongs to the caller alone; None if nothing is to be
            fetched, which yields None.

    Raises:
        UsageError: If it cannot be written.
    """
    if folder is None:
        yield None
        return
    try:
        # What a killed run left there; the store's lock keeps others away.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise scratch_error(folder, error.strerror or str(error)) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch_error(folder: Path, reason: str) -> UsageError:
    """Returns the error for scratch that cannot be written.

    Args:
        folder: The folder.
        reason: Why, in words.
    """
    return UsageError(
        f"The scratch folder {folder} cannot be written: {reason}. Name one on a local "
        "disk with room for a video per worker and a shard (--scratch); the same "
        "command then goes on where it stopped."
    )
