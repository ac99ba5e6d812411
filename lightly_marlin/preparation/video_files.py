"""Video files that VIDEOS names: a folder, a file or a glob."""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from lightly_marlin.preparation.video_file import VideoFile
from lightly_marlin.store.format import TRACKS_NAME
from lightly_marlin.store.sharding import is_face_store
from lightly_marlin.utils.console import one_line
from lightly_marlin.utils.errors import UsageError

__all__ = ["VIDEO_SUFFIXES", "VideoFile", "find_videos", "is_video_name"]

_SUFFIXES = """
.3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .hevc .m2ts .m2v .m4v .mjpeg .mjpg
.mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .ogm .ogv .rm .rmvb .ts .vob .webm .wmv .y4m
"""

VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
"""Suffixes of the files that are taken from a folder; others are ignored."""


def find_videos(
    videos: Path | str, *, exclude: Path | str | None = None
) -> list[VideoFile]:
    """Lists videos, sorted by their relative path.

    The crops of face stores never count as videos. A folder that cannot be searched is
    skipped with a warning. Links are followed, and a file that several paths lead to is
    listed once, by the path with the fewest links.

    Args:
        videos:
            A folder (searched recursively for files with a video suffix; hidden files
            and face stores are left out), one file, or a glob pattern (`**` searches
            recursively).
        exclude:
            Store that the videos are prepared for. It is not searched; if it is the
            folder of the videos itself, only its own tracks are left out.

    Returns:
        At least one video.

    Raises:
        UsageError:
            If the path does not exist, holds no video, cannot be read, or is part of a
            face store.
    """
    if not str(videos):
        raise UsageError(
            "The path of the videos is empty. Name a folder of videos, one video or a "
            "glob pattern in quotes."
        )
    try:
        root, paths = _list(videos, None if exclude is None else Path(exclude))
    except OSError as error:
        raise UsageError(
            f"The videos {videos} cannot be read: {error.strerror or error}."
        ) from error
    files: dict[str, VideoFile] = {}
    for path in sorted(_each_once(root, paths)):
        file = VideoFile(path.absolute(), _source(path, root))
        if files.setdefault(file.source, file) is not file:
            # Bytes that are not Unicode, and a name that spells their escapes.
            warnings.warn(
                f"{one_line(str(path))} is left out: a store would mix it up with "
                f"{one_line(str(files[file.source].path))}. Rename one of them.",
                stacklevel=2,
            )
    return [files[source] for source in sorted(files)]


def _list(videos: Path | str, exclude: Path | None) -> tuple[Path, list[Path]]:
    """Returns the folder that was named and the videos below it."""
    root = Path(videos)
    if root.is_dir():
        stores = _Stores(root, exclude)
        if store := stores.around(root):
            raise UsageError(
                f"{root} belongs to the face store {store}, whose crops are no videos "
                "to prepare. Name the folder of the original videos."
            )
        paths = _walk(root, stores)
        if not paths:
            raise UsageError(
                f"The folder {root} holds no video. Files with these suffixes are "
                f"taken: {' '.join(sorted(VIDEO_SUFFIXES))}."
            )
        return root, paths
    if root.is_file():
        return root.parent, [root]
    if root.exists():
        raise UsageError(
            f"{root} is neither a file nor a folder. Name a folder of videos, one "
            "video or a glob pattern in quotes."
        )
    if not glob.has_magic(str(videos)):
        raise UsageError(
            f"There is no file or folder {videos}. Name a folder of videos, one video "
            "or a glob pattern in quotes."
        )
    root = _fixed_part(root)
    stores = _Stores(root, exclude)
    matches = map(Path, _glob(Path(videos).parts))
    paths = [
        path for path in matches if path.is_file() and not stores.around(path.parent)
    ]
    if not paths:
        raise UsageError(f"No file outside face stores matches the pattern {videos}.")
    return root, paths


class _Stores:
    """Index of the folders that belong to face stores."""

    def __init__(self, root: Path, exclude: Path | None) -> None:
        """Takes the folder to search and the store to write, if there is one."""
        self._own = exclude and exclude.resolve()
        self._blocked = self._own
        if self._own is not None and root.resolve().is_relative_to(self._own):
            # The store lies among its own videos: only its crops do not count.
            self._blocked = self._own / TRACKS_NAME
        self._known: dict[Path, Path | None] = {}

    def around(self, folder: Path) -> Path | None:
        """Returns the store that a folder is or lies in, None if there is none."""
        return self._around(folder.resolve())

    def _around(self, folder: Path) -> Path | None:
        if folder not in self._known:
            if folder == self._blocked:
                self._known[folder] = self._own
            elif folder != self._own and is_face_store(folder):
                self._known[folder] = folder
            else:
                at_top = folder == folder.parent
                self._known[folder] = None if at_top else self._around(folder.parent)
        return self._known[folder]


def _walk(root: Path, stores: _Stores) -> list[Path]:
    """Returns the files under `root` with a video suffix, once for every folder."""

    def report(error: OSError) -> None:
        if Path(error.filename) == root:
            raise error
        name = one_line(str(error.filename))
        warnings.warn(f"The folder {name} is left out: {error.strerror}.", stacklevel=2)

    paths: list[Path] = []
    seen: set[str] = set()
    # What lies in the folder itself comes first, then linked folders, near ones first.
    waiting = deque([str(root)])
    while waiting:
        for folder, subfolders, names in os.walk(waiting.popleft(), onerror=report):
            real = os.path.realpath(folder)
            if real in seen:
                subfolders.clear()
                continue
            seen.add(real)
            subfolders[:] = [
                name
                for name in sorted(subfolders)
                if not name.startswith(".") and not stores.around(Path(folder, name))
            ]
            children = [os.path.join(folder, name) for name in subfolders]
            waiting += [child for child in children if os.path.islink(child)]
            paths += [Path(folder, name) for name in names if is_video_name(name)]
    return paths


def _glob(parts: tuple[str, ...]) -> set[str]:
    """Returns what matches a pattern; links in `**` do not lead round in circles."""
    if "**" not in parts:
        return set(glob.glob(str(Path(*parts))))
    place = parts.index("**")
    found: set[str] = set()
    for base in glob.glob(str(Path(*parts[:place]))):
        for folder in _folders_below(base, frozenset()):
            rest = parts[place + 1 :] or ("*",)
            found |= _glob((*Path(glob.escape(folder)).parts, *rest))
    return found


def _folders_below(folder: str, above: frozenset[str]) -> Iterator[str]:
    """Yields a folder and those below it that are not hidden, but none within itself.

    Args:
        folder: A path.
        above: Real paths of the folders on the way to it.
    """
    real = os.path.realpath(folder)
    if real in above or not os.path.isdir(folder):
        return
    yield folder
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(folder)):
            if not name.startswith("."):
                yield from _folders_below(os.path.join(folder, name), above | {real})


def is_video_name(name: str) -> bool:
    """Returns whether a file counts as a video in a folder.

    Args:
        name: Name of the file.
    """
    return not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES


def _each_once(root: Path, paths: list[Path]) -> list[Path]:
    """Leaves out paths that lead to the same file as another one through links.

    The path with the fewest links stays, of several the one with the fewest parts.
    """
    real_folder = functools.cache(os.path.realpath)

    @functools.cache
    def count_links(path: Path) -> int:
        return 0 if path == root else path.is_symlink() + count_links(path.parent)

    chosen: dict[str, tuple[int, int, Path]] = {}
    for path in paths:
        is_link = path.is_symlink()
        real = os.path.join(real_folder(path.parent), path.name)
        real = os.path.realpath(path) if is_link else real
        rank = (is_link + count_links(path.parent), len(path.parts), path)
        chosen[real] = min(chosen.get(real, rank), rank)
    return [path for _, _, path in chosen.values()]


def _fixed_part(pattern: Path) -> Path:
    """Returns the folders of a pattern up to its first wildcard."""
    fixed = Path()
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        fixed /= part
    return fixed


def _source(path: Path, root: Path) -> str:
    """Returns the relative path; bytes that are not Unicode become escapes."""
    relative = os.fsencode(path.relative_to(root).as_posix())
    return relative.decode("utf-8", "backslashreplace")
