"""Loader of endless full batches of clips."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from lightly_marlin.data.clip_sampler import ResumableClipSampler
from lightly_marlin.data.face_clips import FaceClip, FaceClips

__all__ = ["clip_loader"]


def clip_loader(
    clips: FaceClips, batch_size: int, *, seed: int = 0, num_workers: int = 0
) -> DataLoader[FaceClip]:
    """Returns an endless loader of full batches.

    Args:
        clips: The clips; `FaceClips(store, num_frames=1, stride=1)` for single frames.
        batch_size: Clips per batch.
        seed: Seed of the order, which is the same with any number of workers.
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
