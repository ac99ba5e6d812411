"""Manifest of videos: a text file with a path or URL a line, or a Parquet table.

The name of a video follows from its own line alone, so lines may be added, removed and
sorted: what is prepared stays prepared, in the same shard.
"""

from __future__ import annotations

import io
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightly_marlin.preparation.video_file import VideoFile, suffix_of
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError, first_line
from lightly_marlin.utils.remote import RemoteFolder, is_url

__all__ = ["is_manifest", "read_manifest"]

_SUFFIXES = (".txt", ".parquet")
_VIDEO_COLUMNS = ("video", "path", "url")

# Name of a folder for "..", which no name may have.
_PARENT = "_"


def is_manifest(videos: Path | str) -> bool:
    """Returns whether a path or URL names a manifest rather than videos.

    Args:
        videos: A path or URL.
    """
    if suffix_of(str(videos)) not in _SUFFIXES:
        return False
    if is_url(videos):
        return not {"*", "["} & {*str(videos)}
    return os.path.isfile(videos)


def read_manifest(manifest: Path | str) -> list[VideoFile]:
    """Reads the videos of a manifest, in its order; a line that repeats counts once.

    Args:
        manifest:
            Path or URL. A `.txt` file has a path or URL a line; empty lines, and those
            that begin with `#`, are skipped. A `.parquet` file has them in the column
            `video` (or `path`, or `url`) and may name the videos in the column
            `source`. Relative paths start from the folder of the manifest.

    Returns:
        The videos, whether or not they exist. A path without `source` is its own name:
        `/data/a.mp4` becomes `data/a.mp4`, `../a.mp4` becomes `_/a.mp4`, and
        `s3://bucket/a.mp4` becomes `s3/bucket/a.mp4`.

    Raises:
        UsageError: If it cannot be read, has no video, or names two of them alike.
    """
    content = _read(manifest)
    is_table = suffix_of(str(manifest)) == ".parquet"
    lines = _table_lines if is_table else _text_lines
    first: dict[str, tuple[int, str]] = {}
    files = []
    for number, line, source in lines(content, manifest):
        place = _absolute(line, manifest)
        name = _name_of(line) if source is None else source
        _check_name(name, number, manifest)
        earlier, same = first.setdefault(name, (number, place))
        if same != place:
            raise UsageError(
                f"Lines {earlier} and {number} of {manifest} give two videos the name "
                f"{name}. Move one of them, or name both in the column source of a "
                ".parquet manifest."
            )
        if earlier == number:
            files.append(_video(place, name))
    if not files:
        raise UsageError(
            f"The manifest {manifest} has no videos. Write a path or URL a line."
        )
    return files


def _read(manifest: Path | str) -> bytes:
    if is_url(manifest):
        folder, _, name = str(manifest).rpartition("/")
        content = RemoteFolder(folder).read(name)
        if content is None:
            raise UsageError(f"There is no manifest {manifest}.")
        return content
    try:
        return Path(manifest).read_bytes()
    except OSError as error:
        raise UsageError(
            f"The manifest {manifest} cannot be read: {error.strerror or error}."
        ) from error


def _text_lines(
    content: bytes, manifest: Path | str
) -> Iterator[tuple[int, str, str | None]]:
    """Yields number, path and name of each line; file names may be no Unicode."""
    if b"\0" in content:
        raise UsageError(
            f"{manifest} is no manifest: it is no text. Write a path or URL a line."
        )
    text = os.fsdecode(content.removeprefix(b"\xef\xbb\xbf"))
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if line and not line.startswith("#"):
            yield number, line, None


def _table_lines(
    content: bytes, manifest: Path | str
) -> Iterator[tuple[int, str, str | None]]:
    pa = require("pyarrow", "Reading a manifest")
    parquet = require("pyarrow.parquet", "Reading a manifest")
    try:
        table = parquet.read_table(io.BytesIO(content))
    except pa.ArrowException as error:
        raise UsageError(
            f"The manifest {manifest} is no Parquet file: {first_line(error)}."
        ) from error
    names = [name for name in _VIDEO_COLUMNS if name in table.column_names]
    if not names:
        raise UsageError(
            f"The manifest {manifest} has no column video; it has "
            f"{', '.join(table.column_names) or 'none'}. Put the paths or URLs there."
        )
    columns = [names[0], *(["source"] if "source" in table.column_names else [])]
    for number, row in enumerate(table.select(columns).to_pylist(), start=1):
        line: Any = row[names[0]]
        source: Any = row.get("source")
        if line is None:
            continue
        if not isinstance(line, str) or not isinstance(source, (str, type(None))):
            raise UsageError(
                f"Row {number} of the manifest {manifest} has no text but "
                f"{line!r}, {source!r}. Its columns must be of strings."
            )
        yield number, line, source


def _absolute(line: str, manifest: Path | str) -> str:
    """Returns the place of a video, from which relative paths are resolved."""
    if is_url(line):
        return line
    if is_url(manifest):
        if line.startswith("/"):
            # A path of whoever prepares it.
            return line
        return f"{str(manifest).rpartition('/')[0]}/{line}"
    return os.path.abspath(os.path.join(os.path.dirname(manifest), line))


def _name_of(line: str) -> str:
    if is_url(line):
        line = line.replace("://", "/")
    parts = posixpath.normpath(line.replace(os.sep, "/")).lstrip("/").split("/")
    name = "/".join(_PARENT if part == ".." else part for part in parts)
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _check_name(name: str, number: int, manifest: Path | str) -> None:
    parts = name.split("/")
    if name and not {"", ".", ".."} & {*parts} and "\0" not in name:
        return
    raise UsageError(
        f"Line {number} of {manifest} gives a video the name {name!r}. Names are "
        "relative paths without . and .."
    )


def _video(place: str, name: str) -> VideoFile:
    if is_url(place):
        return VideoFile(Path(name.rpartition("/")[2]), name, place)
    return VideoFile(Path(place), name)
