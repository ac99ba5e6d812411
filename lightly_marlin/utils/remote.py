"""Folders at URLs: object stores and whatever else fsspec reaches.

An object store has neither renames nor locks, but a file is there whole or not at all:
what is written last commits the rest.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write

__all__ = ["RemoteFolder", "is_url"]

_LOCAL_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::|://)")


def is_url(path: Path | str) -> bool:
    """Returns whether a path is a URL; a `Path` never is.

    Args:
        path: Path or URL.
    """
    return isinstance(path, str) and _SCHEME.match(path) is not None


class RemoteFolder:
    """Folder at a URL. Every file is read and written whole.

    Attributes:
        url: The URL, without a slash at its end.
    """

    def __init__(self, url: str) -> None:
        """Finds the file system; nothing is read yet.

        Args:
            url: URL of the folder, such as s3://bucket/folder.

        Raises:
            UsageError: If its scheme is unknown, or it names nothing.
            MissingExtraError: If the extra `remote`, or what its scheme needs, is not
                installed.
        """
        core = require("fsspec.core", "Reading and writing at a URL")
        self.url = url.rstrip("/")
        if self.url.endswith(":"):
            raise UsageError(
                f"The URL {url} names no folder. Name one, such as s3://bucket/folder."
            )
        scheme = self.url.partition(":")[0]
        if scheme == "s3":
            require("s3fs", "Reading and writing at s3://")
        with self._explained("opened"):
            self._fs, self._path = core.url_to_fs(self.url)

    def read(self, name: str) -> bytes | None:
        """Returns the content of a file; None if it does not exist.

        Args:
            name: Path of the file in the folder.
        """
        with self._explained("read"):
            # Of other processes, too: nothing is taken from a listing of before.
            self._fs.invalidate_cache()
            try:
                content: bytes = self._fs.cat_file(self._at(name))
            except (FileNotFoundError, NotADirectoryError):
                return None
            return content

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, replacing an earlier one.

        Args:
            name: Path of the file in the folder.
            content: Its bytes.
        """
        with self._explained("written"):
            self._make_parent(name)
            self._fs.pipe_file(self._at(name), content)

    def put(self, file: Path, name: str) -> None:
        """Uploads a file, replacing an earlier one.

        Args:
            file: The file to upload.
            name: Path of the file in the folder.
        """
        with self._explained("written"):
            self._make_parent(name)
            self._fs.put_file(str(file), self._at(name))

    def fetch(self, name: str, file: Path) -> bool:
        """Downloads a file to its place, whole or not at all.

        Args:
            name: Path of the file in the folder.
            file: Where to write it; its folder exists.

        Returns:
            Whether there is such a file.
        """
        with self._explained("read"):
            try:
                with atomic_write(file) as temporary:
                    self._fs.get_file(self._at(name), str(temporary))
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def remove(self, name: str) -> None:
        """Removes a file, if there is one.

        Args:
            name: Path of the file in the folder.
        """
        with self._explained("written"), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._at(name))

    def state(self, name: str) -> dict[str, Any] | None:
        """Returns what changes when a file does; None if it does not exist.

        Args:
            name: Path of the file in the folder.

        Returns:
            `size` in bytes, and `etag`, or the time of modification where the file
            system has no such tag.
        """
        with self._explained("read"):
            self._fs.invalidate_cache()
            try:
                info = self._fs.info(self._at(name))
            except (FileNotFoundError, NotADirectoryError):
                return None
        return {"size": info.get("size"), "etag": _tag(info)}

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _make_parent(self, name: str) -> None:
        parent = self._at(name).rpartition("/")[0]
        # What is no folder, such as a prefix in a bucket, need not exist.
        with contextlib.suppress(FileExistsError, PermissionError):
            self._fs.makedirs(parent, exist_ok=True)

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Converts errors of file systems, which are of many kinds."""
        try:
            yield
        except (UsageError, ModuleNotFoundError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _LOCAL_ERRORS:
                # Of the disk on this side.
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(
                f"{self.url} cannot be {what}: {reason}. Check the URL, and that its "
                "service can be reached and you may use it."
            ) from error


def _tag(info: dict[str, Any]) -> str | None:
    names = ("ETag", "etag", "LastModified", "mtime", "created")
    found = next((info[name] for name in names if info.get(name) is not None), None)
    return None if found is None else str(found).strip('"')
