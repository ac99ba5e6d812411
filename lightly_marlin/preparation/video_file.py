"""Video to prepare: a file, or what a URL leads to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["RemoteState", "VideoFile", "suffix_of"]


@dataclass(frozen=True)
class RemoteState:
    """State of a remote file, which changes when the file does.

    Attributes:
        size: Size in bytes; None if the server does not tell.
        etag: Tag of the content, or the time of modification as text.
    """

    size: int | None
    etag: str | None


@dataclass(frozen=True)
class VideoFile:
    """A video to prepare.

    Attributes:
        path: Absolute path of the file; of a remote video its name alone, until it is
            fetched.
        source: POSIX path relative to the named folder, as valid Unicode.
        url: URL of a remote video; None for a file.
        state: State of a remote video, if a listing told it already.
    """

    path: Path
    source: str
    url: str | None = None
    state: RemoteState | None = None

    @property
    def place(self) -> str:
        """URL or path for messages and records."""
        return str(self.path) if self.url is None else self.url


def suffix_of(name: str) -> str:
    """Returns the suffix of a file name or URL, in lower case.

    Args:
        name: The name; what follows a `?` does not count.
    """
    return PurePosixPath(name.partition("?")[0]).suffix.lower()
