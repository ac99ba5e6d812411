"""Batches of clips from a store, or from the demo clips where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from lightly_marlin.data.clip_sampler import ResumableClipSampler
from lightly_marlin.data.demo_store import demo_store
from lightly_marlin.data.face_clips import FaceClip, FaceClips
from lightly_marlin.data.face_store import FaceStore
from lightly_marlin.utils.console import console

__all__ = ["clip_loader", "open_store"]


def open_store(
    path: Path | str | None, *, demo_clips: int = 24, demo_frames: int = 64
) -> FaceStore:
    """Opens a store, or makes that of the demo clips where it is kept for reuse.

    Args:
        path: The folder of the store; None for the demo clips, in the user's cache.
        demo_clips: Number of demo clips.
        demo_frames: Frames of each.

    Returns:
        The store.

    Raises:
        UsageError: If the store cannot be read, or the demo store not be made.
    """
    if path is not None:
        return FaceStore(path)
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    demo = cache / "lightly_marlin" / f"demo-{demo_clips}x{demo_frames}"
    console.print(f"No --store: using the built-in demo clips in {demo}")
    return demo_store(demo, num_clips=demo_clips, num_frames=demo_frames)


def clip_loader(
    clips: FaceClips, batch_size: int, *, seed: int = 0, num_workers: int = 0
) -> DataLoader[FaceClip]:
    """Returns a loader without end, whose every batch is full.

    Args:
        clips: The clips; `FaceClips(store, num_frames=1, stride=1)` for single frames.
        batch_size: Clips of a batch.
        seed: Seed of the order; the same with any number of workers.
        num_workers: Loader processes.

    Returns:
        Loader of dicts with "video" uint8 (B, 3, T, 224, 224) and "regions" int32 cell
        bit masks (B, T, 28, 28).
    """
    return DataLoader(
        clips,
        batch_size=batch_size,
        sampler=ResumableClipSampler(clips, seed=seed),
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
    )
