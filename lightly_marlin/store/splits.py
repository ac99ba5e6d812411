"""Split of a store into training and held-out tracks."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from lightly_marlin.store.face_store import FaceStore

__all__ = ["split_tracks"]


def split_tracks(
    store: FaceStore,
    held_out: float = 0.1,
    *,
    seed: int = 0,
    tracks: Collection[str] | None = None,
) -> tuple[list[str], list[str]]:
    """Splits the tracks of a store by video; no video is on both sides.

    The split depends only on the names of the videos and the seed, not on the order of
    files on disk or of preparation.

    Args:
        store: A face store.
        held_out:
            Share of the videos to hold out, in [0, 1). At least one is held out if the
            share is positive and there are two or more.
        seed: Seed of the split.
        tracks: Names of the tracks to split (see `TrackFilter`); None for all.

    Returns:
        Names of the training tracks and of the held-out tracks, each in the order of
        the store. Usable as `FaceClips(store, tracks=...)`.

    Raises:
        ValueError: If `held_out` is out of range.
    """
    if not 0 <= held_out < 1:
        raise ValueError(f"Invalid held_out {held_out}: must be in [0, 1).")
    pairs = list(zip(store.column("track_id"), store.column("source"), strict=True))
    if tracks is not None:
        wanted = set(tracks)
        pairs = [(name, source) for name, source in pairs if name in wanted]
    sources = {source for _, source in pairs}
    videos = sorted(sources, key=lambda source: _rank(source, seed))
    count = round(held_out * len(videos))
    if held_out > 0:
        count = max(count, 1)
    count = min(count, max(len(videos) - 1, 0))
    chosen = set(videos[:count])
    train: list[str] = []
    test: list[str] = []
    for name, source in pairs:
        (test if source in chosen else train).append(name)
    return train, test


def _rank(source: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{source}".encode(), digest_size=16).digest()
