"""Face store of the built-in demo clips, made by the real preparation."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from lightly_marlin.demo.videos import write_demo_videos
from lightly_marlin.jobs.lock import LOCK_NAME
from lightly_marlin.preparation.prepare_folder import prepare_videos
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import (
    FORMAT_VERSION,
    INDEX_NAME,
    REPORT_NAME,
    TRACKS_NAME,
)
from lightly_marlin.store.index_file import ARROW_NAME
from lightly_marlin.utils.console import console
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import cache_folder, write_json

__all__ = ["demo_store", "open_store"]

_MARK = "demo.json"
_NAMES = {_MARK, LOCK_NAME, INDEX_NAME, ARROW_NAME, REPORT_NAME, TRACKS_NAME}

# Folder of a video, including unfinished ones of a killed run.
_OWN_FOLDER = re.compile(r"(\.unfinished-)?(demo|talking)_\d+_[0-9a-f]{12}(-.*)?")

# Increment when `demo_clips` makes other clips from the same arguments, to rebuild
# earlier stores.
_CLIPS_VERSION = 2


def demo_store(
    path: Path | str,
    *,
    num_clips: int = 12,
    num_frames: int = 64,
    seed: int = 0,
    num_workers: int = 0,
    audio: bool = False,
) -> FaceStore:
    """Makes or opens a store of the demo clips.

    The clips are written as H.264 videos to a temporary folder and prepared like any
    other videos. An existing store with the same options is simply opened.

    Args:
        path: The folder of the store.
        num_clips: Number of clips.
        num_frames: Frames per clip.
        seed: Seed of the clips' motion.
        num_workers: Worker processes of the preparation, as in `prepare_videos`.
        audio: Take the clips that talk, `talking_clips`, and keep their sound.

    Returns:
        The open store.

    Raises:
        UsageError:
            If `path` holds anything but a demo store, or cannot be written, or the
            clips are too short to hold a track.
        ValueError: If an option is below 1.
    """
    for name, value in (("num_clips", num_clips), ("num_frames", num_frames)):
        if value < 1:
            raise ValueError(f"Invalid {name} {value}: must be at least 1.")
    path = Path(path)
    options = {
        "version": FORMAT_VERSION,
        "clips_version": _CLIPS_VERSION,
        "num_clips": num_clips,
        "num_frames": num_frames,
        "seed": seed,
        # Left out otherwise, so that stores of earlier releases are still those.
        **({"audio": True} if audio else {}),
    }
    try:
        if _read_mark(path) == options:
            return FaceStore(path)
        if path.exists() and not _may_go(path):
            raise UsageError(
                f"{path} already exists and holds more than a demo store. Name "
                "another folder, or delete it."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".demo-") as work:
            store = _build(Path(work), options, num_workers)
            _move(store, path, options)
    except OSError as error:
        raise UsageError(
            f"The demo store {path} cannot be written: {error.strerror or error}."
        ) from error
    return FaceStore(path)


def open_store(
    path: Path | str | None,
    *,
    demo_clips: int = 24,
    demo_frames: int = 64,
    demo_audio: bool = False,
) -> FaceStore:
    """Opens a store, or the cached store of the demo clips, made if missing.

    Args:
        path: The folder or URL of the store; None for the demo clips, in the user's
            cache, or among temporary files for a user without a home.
        demo_clips: Number of demo clips.
        demo_frames: Frames of each demo clip.
        demo_audio: Take demo clips that talk, with their sound.

    Returns:
        The store.

    Raises:
        UsageError: If the store cannot be read, or the demo store cannot be made.
    """
    if path is not None:
        return FaceStore(path)
    name = f"{'talking' if demo_audio else 'demo'}-{demo_clips}x{demo_frames}"
    demo = cache_folder() / "lightly_marlin" / name
    console.print(f"No --store: using the built-in demo clips in {demo}")
    return demo_store(
        demo, num_clips=demo_clips, num_frames=demo_frames, audio=demo_audio
    )


def _build(work: Path, options: dict[str, Any], num_workers: int) -> Path:
    """Writes the clips as videos and prepares them; returns the store."""
    videos, store = work / "videos", work / "store"
    clips = {key: options[key] for key in ("num_clips", "num_frames", "seed")}
    audio = options.get("audio", False)
    write_demo_videos(videos, **clips, talking=audio)
    summary = prepare_videos(videos, store, num_workers=num_workers, audio=audio)
    if summary.num_tracks < options["num_clips"]:
        bad = next(record for record in summary.records if not record.rows)
        raise UsageError(f"The demo clip {bad.source} gave no track: {bad.reason}.")
    write_json(store / _MARK, options)
    return store


def _move(store: Path, path: Path, options: dict[str, Any]) -> None:
    """Moves a finished store into place, unless another process was faster."""
    if path.exists() and _read_mark(path) != options and _may_go(path):
        shutil.rmtree(path)
    try:
        os.replace(store, path)
    except OSError:
        if _read_mark(path) != options:
            raise


def _read_mark(path: Path) -> dict[str, Any] | None:
    """Returns the options of the demo store at `path`, None if there is none."""
    try:
        mark: dict[str, Any] = json.loads((path / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return mark


def _may_go(path: Path) -> bool:
    """Returns whether a folder is empty, or a demo store without additions."""
    if not path.is_dir():
        return False
    names = {entry.name for entry in path.iterdir()}
    if not names:
        return True
    if _read_mark(path) is None or not names <= _NAMES:
        return False
    # Judged by the folders, which have the same names in every version of the format.
    videos = (path / TRACKS_NAME).iterdir() if TRACKS_NAME in names else ()
    return all(_OWN_FOLDER.fullmatch(video.name) for video in videos)
