"""Splitting a store into training and held-out tracks."""

from __future__ import annotations

import hashlib

from lightly_marlin.data.face_store import FaceStore

__all__ = ["split_tracks"]


def split_tracks(
    store: FaceStore, held_out: float = 0.1, *, seed: int = 0
) -> tuple[list[str], list[str]]:
    """Splits the tracks of a store by video, so that no video is on both sides.

    The split depends on the names of the videos and the seed alone: not on the order of
    files on a disk, and not on which video was prepared first.

    Args:
        store: A face store.
        held_out:
            Share of the videos to hold out, in [0, 1). At least one is held out if the
            share is positive and there are two or more.
        seed: Seed of the split.

    Returns:
        Names of the training tracks and of the held-out tracks, each in the order of
        the store. Usable as `FaceClips(store, tracks=...)`.

    Raises:
        ValueError: If `held_out` is out of range.
    """
    if not 0 <= held_out < 1:
        raise ValueError(f"Invalid held_out {held_out}: must be in [0, 1).")
    sources = store.column("source")
    videos = sorted(set(sources), key=lambda source: _rank(source, seed))
    count = round(held_out * len(videos))
    if held_out > 0:
        count = max(count, 1)
    count = min(count, max(len(videos) - 1, 0))
    chosen = set(videos[:count])
    train: list[str] = []
    test: list[str] = []
    for name, source in zip(store.column("track_id"), sources, strict=True):
        (test if source in chosen else train).append(name)
    return train, test


def _rank(source: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{source}".encode(), digest_size=16).digest()
