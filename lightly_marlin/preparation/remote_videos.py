"""Remote videos: found at a URL, known by size and tag, fetched to be prepared.

Preparation reads a video twice, so it is copied to a local disk first: one transfer,
and the decoder seeks where seeking is free.
"""

from __future__ import annotations

import contextlib
import errno
import glob
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lightly_marlin.jobs.worker_pool import report_progress
from lightly_marlin.preparation.video_file import RemoteState, VideoFile
from lightly_marlin.preparation.video_files import is_video_name
from lightly_marlin.store.format import INDEX_NAME, TRACKS_NAME
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError, first_line
from lightly_marlin.utils.remote import is_url

__all__ = ["FetchError", "fetch_video", "find_remote_videos", "remote_state"]

_PURPOSE = "Preparing remote videos"

# What tells that a file changed, the best first.
_TAGS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "created")

# Errors of the local disk, whatever the server does.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class FetchError(Exception):
    """A remote video that cannot be fetched now, with the reason."""


def find_remote_videos(
    url: str, *, exclude: Path | str | None = None
) -> list[VideoFile]:
    """Lists the videos at a URL with their states, by one listing.

    Args:
        url: URL of a folder (searched recursively for files with a video suffix; hidden
            ones and the crops of face stores are left out), one file, or a glob.
        exclude: Store that the videos are prepared for.

    Returns:
        At least one video; the sources are relative to the folder, or to the part of
        the glob without wildcards.

    Raises:
        UsageError: If there is no video, or the URL cannot be reached.
        MissingExtraError: If the extra `remote`, or what the URL needs, is not
            installed.
    """
    if "::" in url:
        raise UsageError(
            f"{url} is a chain of file systems, which cannot be searched. List its "
            "videos in a manifest."
        )
    fs, root = _file_system(url)
    whole_folder = False
    with _explained(url):
        if fs.isfile(root):
            found = {root: fs.info(root)}
            root = root.rpartition("/")[0]
        elif glob.has_magic(root):
            found = fs.glob(root, detail=True)
            root = _fixed_part(root)
        else:
            found = fs.find(root, detail=True)
            whole_folder = True
    own = _path_of(exclude)
    stores = _stores(found)
    files = []
    for path, info in sorted(found.items()):
        source = path.removeprefix(root).lstrip("/")
        if info.get("type") == "directory" or (own and path.startswith(f"{own}/")):
            continue
        if whole_folder and not _is_video(source):
            continue
        if any(str(parent) in stores for parent in PurePosixPath(path).parents):
            continue
        name = path.rpartition("/")[2]
        files.append(
            VideoFile(Path(name), source, fs.unstrip_protocol(path), _of(info))
        )
    if not files:
        raise UsageError(
            f"There is no video at {url}. Name a folder of videos, one video, a glob "
            "pattern in quotes, or a manifest."
        )
    return files


def remote_state(url: str) -> RemoteState:
    """Returns the state of a remote file; an empty one if it cannot be reached.

    Args:
        url: URL of the file.
    """
    try:
        fs, path = _file_system(url)
        fs.invalidate_cache()
        return _of(fs.info(path))
    except ModuleNotFoundError:
        raise
    except Exception:
        # Whatever is wrong is told when the video is fetched.
        return RemoteState(None, None)


def fetch_video(url: str, file: Path) -> None:
    """Copies a remote video to a local disk; runs in a worker.

    Args:
        url: URL of the video.
        file: Where to write it; its folder exists.

    Raises:
        FetchError: If it cannot be reached or read whole.
        OSError: If the disk cannot take it.
    """
    callbacks = require("fsspec.callbacks", _PURPOSE)

    class Beat(callbacks.Callback):  # type: ignore[name-defined,misc]
        """Tells the pool of every piece that arrives."""

        def call(self, *arguments: Any, **options: Any) -> None:
            report_progress()

    try:
        fs, path = _file_system(url)
        fs.invalidate_cache()
        size = fs.info(path).get("size")
        fs.get_file(path, str(file), callback=Beat())
    except ModuleNotFoundError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise
        what = "is gone" if isinstance(error, FileNotFoundError) else first_line(error)
        raise FetchError(f"{url} cannot be fetched: {what}") from error
    got = file.stat().st_size
    if size is not None and got != size:
        raise FetchError(f"{url} cannot be fetched: {got} of {size} bytes arrived")


def _file_system(url: str) -> tuple[Any, str]:
    core = require("fsspec.core", _PURPOSE)
    if url.startswith("s3:"):
        require("s3fs", _PURPOSE)
    with _explained(url):
        fs, path = core.url_to_fs(url)
    return fs, path


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Converts the errors of file systems, which are of many kinds."""
    try:
        yield
    except (UsageError, ModuleNotFoundError):
        raise
    except FileNotFoundError as error:
        raise UsageError(f"There is nothing at {url}.") from error
    except Exception as error:
        raise UsageError(
            f"The videos at {url} cannot be listed: {first_line(error)}. Check the "
            "URL, and that its service can be reached and you may use it."
        ) from error


def _of(info: Mapping[str, Any]) -> RemoteState:
    tag = next((info[name] for name in _TAGS if info.get(name) is not None), None)
    size = info.get("size")
    text = None if tag is None else str(tag).strip('"')
    return RemoteState(None if size is None else int(size), text)


def _path_of(store: Path | str | None) -> str | None:
    """Returns the path of a remote store within its file system."""
    if store is None or not is_url(store):
        return None
    return _file_system(str(store).rstrip("/"))[1]


def _is_video(source: str) -> bool:
    *folders, name = source.split("/")
    return is_video_name(name) and not any(one.startswith(".") for one in folders)


def _stores(found: Mapping[str, Any]) -> set[str]:
    """Returns the folders of tracks of face stores."""
    ends = (path.removesuffix(f"/{INDEX_NAME}") for path in found)
    return {f"{end}/{TRACKS_NAME}" for end in ends if end not in found}


def _fixed_part(pattern: str) -> str:
    """Returns the folders of a pattern up to its first wildcard."""
    parts = pattern.split("/")[:-1]
    magic = [number for number, part in enumerate(parts) if glob.has_magic(part)]
    return "/".join(parts[: magic[0]] if magic else parts)
