"""Videos that VIDEOS names: a folder, file, glob, manifest or URL, or given ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lightly_marlin.preparation.manifest import is_manifest, read_manifest
from lightly_marlin.preparation.remote_videos import find_remote_videos
from lightly_marlin.preparation.video_file import VideoFile
from lightly_marlin.preparation.video_files import find_videos
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.remote import is_url

__all__ = ["Videos", "list_videos"]

Videos = Path | str | Sequence[VideoFile]
"""Whatever names the videos to prepare."""


def list_videos(
    videos: Videos, *, exclude: Path | str | None = None
) -> dict[str, VideoFile]:
    """Lists videos by source, sorted.

    Args:
        videos:
            A folder, file or glob pattern as for `find_videos`; a manifest; the URL of
            a folder, a file or a glob pattern, or of a manifest; or the videos
            themselves.
        exclude: Store that the videos are prepared for. It is not searched.

    Returns:
        At least one video.

    Raises:
        UsageError: If there is no video, the list cannot be read, or two videos have
            the same source.
        MissingExtraError: If there is a URL, and the extra `remote` is not installed.
    """
    if not isinstance(videos, (str, Path)):
        return _by_source(videos)
    if is_manifest(videos):
        return _by_source(read_manifest(videos))
    if is_url(videos):
        return _by_source(find_remote_videos(str(videos), exclude=exclude))
    local = None if exclude is None or is_url(exclude) else exclude
    return _by_source(find_videos(videos, exclude=local))


def _by_source(videos: Iterable[VideoFile]) -> dict[str, VideoFile]:
    files: dict[str, VideoFile] = {}
    for video in videos:
        other = files.setdefault(video.source, video)
        if other.place != video.place:
            raise UsageError(
                f"Two videos have the name {video.source}: {other.place} and "
                f"{video.place}. Rename one, or prepare it into a store of its own."
            )
    if not files:
        raise UsageError("There are no videos to prepare: the list is empty.")
    return {source: files[source] for source in sorted(files)}
