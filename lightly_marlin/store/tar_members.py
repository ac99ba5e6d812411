"""Members of a shard's tar: their names, their places, and their writer.

A tar of a shard is in the USTAR format, uncompressed: every member is a header of 512
bytes and the file, filled up to full blocks of 512 bytes. The members of a track follow
one another, so the place of its crop video tells those of its arrays, whose sizes are
known. Any program reads it, WebDataset included: a track's files share its name up to
the first dot.

- [0]: POSIX.1-1988, ustar interchange format
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

__all__ = ["TAR_BLOCK", "TarWriter", "filled", "member_name"]

TAR_BLOCK = 512
"""Bytes of a header, and of the blocks that members are filled up to."""

_NAME_BYTES = 100
_COPY_BYTES = 2**20

_LARGEST_USTAR = 2**33 - 1
"""Size up to which USTAR has digits enough; beyond, GNU's way fits the same header."""


def member_name(header: bytes) -> str:
    """Returns the name in a tar header; "something else" if it is no name.

    Args:
        header: Bytes that begin with a header, or with anything.
    """
    name = header[:_NAME_BYTES].partition(b"\0")[0].decode("ascii", "replace")
    return name if name.isprintable() else "something else"


def filled(size: int) -> int:
    """Returns the bytes that a member's content takes in a tar, in full blocks.

    Args:
        size: Bytes of the content.
    """
    return -(-size // TAR_BLOCK) * TAR_BLOCK


class TarWriter:
    """Writer of a tar whose bytes depend on nothing but names and contents."""

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Args:
            path: The file to write.
        """
        self._path = path
        # Closed with it.
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def __enter__(self) -> TarWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._tar.close()
            with self._path.open("rb") as file:
                # Before anything names it: power may fail between a rename and data.
                os.fsync(file.fileno())
        elif self._tar.fileobj is not None:
            # Without the end mark, which would cost a write to a disk that is full.
            self._tar.fileobj.close()

    def add(self, name: str, file: BinaryIO, size: int) -> int:
        """Appends a member.

        Args:
            name: Its name, up to 100 bytes.
            file: File at the place of the first byte.
            size: Number of bytes to take.

        Returns:
            Place of its first byte in the tar.

        Raises:
            OSError: If the file ends before.
        """
        member = tarfile.TarInfo(name)
        member.size = size
        large = size > _LARGEST_USTAR
        self._tar.format = tarfile.GNU_FORMAT if large else tarfile.USTAR_FORMAT
        start = self._tar.offset + TAR_BLOCK
        self._tar.addfile(member, file)
        return start


def copy_bytes(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yields the next bytes of a file in pieces.

    Args:
        file: File at the place of the first byte.
        size: Number of bytes.

    Raises:
        OSError: If the file ends before.
    """
    while size > 0:
        piece = file.read(min(size, _COPY_BYTES))
        if not piece:
            raise OSError("it is cut off")
        size -= len(piece)
        yield piece
