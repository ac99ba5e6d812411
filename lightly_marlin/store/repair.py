"""Errors about files of a store, each with the way back."""

from __future__ import annotations

from pathlib import Path

from lightly_marlin.utils.errors import UsageError

__all__ = ["MERGE", "PREPARE", "TAR_SUFFIX", "damaged_file", "lost_file", "no_audio"]

PREPARE = "python recipes/preprocess_faces.py VIDEOS STORE"
"""Command that makes a store, and completes one."""


MERGE = "python recipes/merge_store.py STORE"
"""Command that makes one index of the shards of a store."""


TAR_SUFFIX = ".tar"
"""Suffix of the files that hold the tracks of a shard."""


def damaged_tar(path: Path | str, reason: str) -> UsageError:
    """Returns the error for the tar of a shard that is not the one of the index.

    Args:
        path: The tar.
        reason: What is wrong with it, after the path.
    """
    return UsageError(
        f"The tar {path} {reason}. If its shard was prepared since the store was "
        f"merged, merge it again: {MERGE}. Otherwise move its folder "
        f"{Path(path).parent} out of the store, prepare the videos again, and merge: "
        f"{PREPARE}"
    )


def lost_file(what: str, path: Path | str, error: OSError) -> UsageError:
    """Returns the error for a file that the system does not give.

    Its disk may only be away, so nothing here is to be deleted.

    Args:
        what: The kind of file, the first word of the message.
        path: The file.
        error: What opening or reading it ended with.
    """
    if Path(path).suffix == TAR_SUFFIX:
        return damaged_tar(path, f"cannot be read: {error.strerror or error}")
    return UsageError(
        f"The {what} {path} cannot be read: {error.strerror or error}. The file, its "
        "folder or its disk is missing or closed to you. If it is gone for good, "
        f"prepare the videos again into the same store, which restores it: {PREPARE}"
    )


def damaged_file(what: str, path: Path | str, reason: str) -> UsageError:
    """Returns the error for a file of a track that holds something else.

    Args:
        what: The kind of file, the first word of the message.
        path: The file.
        reason: What is wrong with it, after the path.
    """
    if Path(path).suffix == TAR_SUFFIX:
        return damaged_tar(path, reason)
    return UsageError(
        f"The {what} {path} {reason}. Move its folder {Path(path).parent} out of the "
        f"store and prepare the videos again: {PREPARE}"
    )


def no_audio(track: str, store: Path) -> UsageError:
    """Returns the error for a track without the sound that was asked for.

    Args:
        track: Name of the track.
        store: Folder of its store.
    """
    return UsageError(
        f"The track {track} of the store {store} has no sound. Prepare its video with "
        f"it, if it has some: {PREPARE} --audio"
    )
