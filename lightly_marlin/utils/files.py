"""Atomic writing of files: no reader ever sees a partial one."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "atomic_write",
    "cache_folder",
    "file_sha256",
    "remove_leftovers",
    "why_not_writable",
    "write_json",
]

_MAX_STEM_BYTES = 40
_MAX_SUFFIX_BYTES = 16
_PROBE_BYTES = 2**18
_HASH_BYTES = 2**20

# Whatever is written next fails for these, too, even if little of it still fits.
_LASTING_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path beside `path`, renamed to it when the block succeeds.

    The temporary name keeps the suffix, because encoders choose their format by it, and
    is short, because the name of `path` may be as long as a file system allows. If the
    block raises, the temporary file is removed and `path` stays as it was.

    Args:
        path: The file to write; its folder exists.

    Yields:
        The path to write to.
    """
    path = Path(path)
    prefix, suffix = _temporary_name(path)
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
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
    prefix, suffix = map(glob.escape, _temporary_name(path))
    for leftover in path.parent.glob(f"{prefix}*{suffix}"):
        leftover.unlink(missing_ok=True)


def _temporary_name(path: Path) -> tuple[str, str]:
    """Returns what temporary names of a file begin and end with."""
    stem, suffix = path.stem, path.suffix
    if len(os.fsencode(suffix)) > _MAX_SUFFIX_BYTES:
        # No format, but a sentence after a full stop.
        stem, suffix = path.name, ""
    if len(os.fsencode(stem)) > _MAX_STEM_BYTES:
        stem = hashlib.blake2b(os.fsencode(stem), digest_size=8).hexdigest()
    return f".{stem}-", suffix


def why_not_writable(folder: Path, error: BaseException | None = None) -> str | None:
    """Tells a folder that cannot be written from a single file that cannot.

    A full disk shows in many ways, and all later files would fail on it, too; a name
    that is too long, or a folder where a file should be, is the trouble of one.

    Args:
        folder: The folder of all files.
        error: Error that writing one of them ended with.

    Returns:
        Reason why no file can be written; None if another one can.
    """
    if isinstance(error, OSError) and error.errno in _LASTING_ERRORS:
        return error.strerror
    probe = folder / f".probe-{os.getpid()}"
    try:
        with open(probe, "wb") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as reason:
        return reason.strerror or str(reason)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return None


def file_sha256(path: Path | str) -> str:
    """Returns the SHA-256 of a file, 64 hexadecimal digits.

    Args:
        path: An existing file.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_HASH_BYTES):
            digest.update(block)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Returns where a user's caches are, or a folder of theirs in a container."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    cache = Path(os.path.expanduser(chosen or "~/.cache"))
    # The user of a container is often a mere number: without a home, or with "/".
    place = cache if cache.exists() else cache.parent
    if chosen or (cache.is_absolute() and os.access(place, os.W_OK)):
        return cache
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"cache-{user}"


def write_json(path: Path | str, value: Any) -> None:
    """Writes `value` as indented JSON, atomically.

    Args:
        path: The file to write; its folder exists.
        value: Anything that `json.dumps` takes.
    """
    with atomic_write(path) as temporary:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
