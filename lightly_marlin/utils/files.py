"""Atomic writing of files: no reader ever sees a partial one."""

from __future__ import annotations

import glob
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["atomic_write", "remove_leftovers", "write_json"]


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path beside `path`, renamed to it when the block succeeds.

    The temporary name keeps the suffix, because encoders choose their format by it. If
    the block raises, the temporary file is removed and `path` is left unchanged.

    Args:
        path: The file to write; its folder exists.

    Yields:
        The path to write to.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(
        prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp creates files that only their owner may read, but data are shared.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: Path | str) -> None:
    """Removes temporary files of `path` that killed processes left behind.

    Call it only as the sole writer: it also removes a file that another one is writing.

    Args:
        path: A file written by `atomic_write`.
    """
    path = Path(path)
    for leftover in path.parent.glob(f".{glob.escape(path.stem)}-*{path.suffix}"):
        leftover.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any) -> None:
    """Writes `value` as indented JSON, atomically.

    Args:
        path: The file to write; its folder exists.
        value: Anything that `json.dumps` takes.
    """
    with atomic_write(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
