"""Which files a user means by VIDEOS: a folder, a file or a glob."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from lightly_marlin.data.store_format import INDEX_NAME, TRACKS_NAME
from lightly_marlin.utils.errors import UsageError

__all__ = ["VIDEO_SUFFIXES", "VideoFile", "find_videos"]

_SUFFIXES = """
.3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .hevc .m2ts .m2v .m4v .mjpeg .mjpg
.mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .ogm .ogv .rm .rmvb .ts .vob .webm .wmv .y4m
"""

VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
"""Suffixes of the files that are taken from a folder; others are not looked at."""


@dataclass(frozen=True)
class VideoFile:
    """A video to prepare.

    Attributes:
        path: Where it lies.
        source: Its POSIX path relative to the folder that was named, as valid Unicode.
    """

    path: Path
    source: str


def find_videos(
    videos: Path | str, *, exclude: Path | str | None = None
) -> list[VideoFile]:
    """Lists videos, sorted by their relative path.

    Args:
        videos:
            A folder (searched recursively for files with a video suffix; hidden files
            and face stores are left out), one file, or a glob pattern (`**` searches
            recursively).
        exclude: A folder inside `videos` that is not searched, such as the store.

    Returns:
        At least one video.

    Raises:
        UsageError: If there is no such path, or no video in it.
    """
    root = Path(videos)
    if root.is_dir():
        paths = _walk(root, None if exclude is None else Path(exclude).resolve())
        if not paths:
            raise UsageError(
                f"The folder {root} holds no video. Files with these suffixes are "
                f"taken: {' '.join(sorted(VIDEO_SUFFIXES))}."
            )
    elif root.is_file():
        root, paths = root.parent, [root]
    elif glob.has_magic(str(videos)):
        paths = [Path(path) for path in glob.glob(str(videos), recursive=True)]
        paths = [path for path in paths if path.is_file()]
        root = _fixed_part(root)
        if not paths:
            raise UsageError(f"No file matches the pattern {videos}.")
    else:
        raise UsageError(
            f"There is no file or folder {videos}. Name a folder of videos, one video "
            "or a glob pattern in quotes."
        )
    files = [VideoFile(path, _source(path, root)) for path in paths]
    return sorted(files, key=lambda file: file.source)


def _walk(root: Path, exclude: Path | None) -> list[Path]:
    """Returns the files under `root` with a video suffix."""
    paths = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".")
            and not _is_store(Path(folder, name))
            and (exclude is None or Path(folder, name).resolve() != exclude)
        ]
        paths += [
            Path(folder, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES
        ]
    return paths


def _is_store(folder: Path) -> bool:
    """Returns whether a folder is a face store: its crops are no videos to prepare."""
    return (folder / INDEX_NAME).is_file() and (folder / TRACKS_NAME).is_dir()


def _fixed_part(pattern: Path) -> Path:
    """Returns the folders of a pattern before its first wildcard."""
    fixed = Path()
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        fixed /= part
    return fixed


def _source(path: Path, root: Path) -> str:
    """Returns the relative path; bytes that are no Unicode become escapes."""
    relative = os.fsencode(path.relative_to(root).as_posix())
    return relative.decode("utf-8", "backslashreplace")
