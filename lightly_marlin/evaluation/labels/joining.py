"""Join of labelled videos with the sources of a store, of features or of a folder.

Never by sorted order: a name that does not fit is missing, and one that fits several
sources is an error. Labels and videos come from different people, who name the same
file by another folder or without its suffix.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from lightly_marlin.utils.errors import UsageError

__all__ = ["join_videos", "posix_path"]

_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")


def join_videos(videos: Sequence[str], sources: Sequence[str]) -> list[str | None]:
    """Finds the source of every video.

    The first of these rules that fits decides:

    1. the source that equals the video;
    2. the one source that ends in the video, at the border of a folder;
    3. the one source that equals the video without the suffix of the source;
    4. the one source that ends in the video without the suffix of the source;
    5. for an absolute path, the one source that the video ends in.

    The time is linear in the number of videos and sources, also if all files have the
    same name in different folders.

    Args:
        videos: Paths of labelled videos, POSIX or Windows, with or without suffix.
        sources: POSIX paths of the videos that there are; one may occur several times,
            as for several faces of one video.

    Returns:
        The source of each video; None where there is none.

    Raises:
        UsageError: If several sources fit a video; the message names the video and two
            of them.
    """
    index = _Index(dict.fromkeys(sources))
    return [index.find(video) for video in videos]


def posix_path(path: str) -> str:
    r"""Returns a path with slashes, without needless dots and slashes.

    Args:
        path: A POSIX or Windows path, such as "faces\anna.mp4" or "./faces/anna.mp4".
    """
    return posixpath.normpath(path.replace("\\", "/"))


def _comparable(path: str) -> str:
    """Returns a path with its letters composed: macOS writes "é" as two characters."""
    return unicodedata.normalize("NFC", posix_path(path))


class _Index:
    """Sources by what they end in."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._equal: dict[str, list[str]] = {}
        self._equal_stem: dict[str, list[str]] = {}
        self._ending: dict[str, list[str]] = {}
        self._ending_stem: dict[str, list[str]] = {}
        for source in sources:
            path = _comparable(source)
            stem = posixpath.splitext(path)[0]
            _add(self._equal, [path], source)
            _add(self._equal_stem, [stem], source)
            _add(self._ending, _endings(path), source)
            _add(self._ending_stem, _endings(stem), source)

    def find(self, video: str) -> str | None:
        """Returns the source of a video; None if there is none."""
        path = _comparable(video)
        for table in (self._equal, self._ending, self._equal_stem, self._ending_stem):
            if found := table.get(path):
                return _the_one(video, found)
        if not _ABSOLUTE.match(path):
            return None
        return _the_one(
            video,
            [
                source
                for ending in _endings(path)
                for source in self._equal.get(ending, [])
            ],
        )


def _add(table: dict[str, list[str]], keys: Iterable[str], source: str) -> None:
    for key in keys:
        found = table.setdefault(key, [])
        # Two suffice to tell that a name is ambiguous.
        if len(found) < 2:
            found.append(source)


def _endings(path: str) -> Iterator[str]:
    """Yields what follows each folder of a path, the longest first."""
    for place, character in enumerate(path):
        if character == "/":
            yield path[place + 1 :]


def _the_one(video: str, found: list[str]) -> str | None:
    if len(found) > 1:
        raise UsageError(
            f"The video {video!r} of the labels fits several sources: {found[0]!r} and "
            f"{found[1]!r}. Write it as in one of them."
        )
    return found[0] if found else None
