"""Split of a store into training and held-out tracks."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

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
    indices = store.index_array(tracks)
    sources, video = store.distinct("source", indices)
    count = round(held_out * len(sources))
    if held_out > 0:
        count = max(count, 1)
    count = min(count, max(len(sources) - 1, 0))
    chosen = np.zeros(len(sources), bool)
    chosen[_lowest(sources, seed, count)] = True
    held = chosen[video]
    return store.names(indices[~held]), store.names(indices[held])


def _lowest(sources: Sequence[str], seed: int, count: int) -> npt.NDArray[np.int64]:
    """Returns the places of the videos with the lowest hashes of their names."""
    begin = f"{seed}/".encode()
    digests = b"".join(
        [hashlib.blake2b(begin + s.encode(), digest_size=16).digest() for s in sources]
    )
    # The first half of a hash tells them apart.
    hashes = np.frombuffer(digests, ">u8")[::2].astype(np.uint64)
    if count == 0:
        return np.empty(0, np.int64)
    return np.argpartition(hashes, count - 1)[:count]
