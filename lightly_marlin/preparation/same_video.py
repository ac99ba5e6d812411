"""Check that a store does not mix up videos of two folders, or of two buckets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightly_marlin.jobs.fingerprint import same_file_state
from lightly_marlin.preparation.remote_videos import remote_state
from lightly_marlin.preparation.video_file import VideoFile
from lightly_marlin.store.format import VideoRecord
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.remote import is_url

__all__ = ["check_same_video"]


def check_same_video(
    file: VideoFile,
    fingerprint: Mapping[str, Any],
    record: VideoRecord | None,
    store: Path | str,
) -> None:
    """Checks that a store does not mix up videos of two folders.

    Args:
        file: A video to prepare.
        fingerprint: Its fingerprint.
        record: The store's record of its name, if there is one.
        store: The store, for the message.

    Raises:
        UsageError: If the record is of another video that still exists.
    """
    if record is None or same_file_state(record.fingerprint, fingerprint):
        return
    earlier = record.path
    if file.url is None:
        # These also return False if a parent folder cannot be read.
        both_exist = os.path.exists(earlier) and os.path.exists(file.path)
        is_same = not both_exist or os.path.samefile(earlier, file.path)
    else:
        # What has moved to another place is the same video.
        is_same = earlier == file.url or not _is_there(earlier)
    if is_same:
        return
    raise UsageError(
        f"The store {store} already holds a video {file.source}, prepared from "
        f"{earlier}. Prepare {file.place} into a store of its own."
    )


def _is_there(place: str) -> bool:
    if is_url(place):
        return remote_state(place).size is not None
    return os.path.exists(place)
