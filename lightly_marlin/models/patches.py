"""Conversion between clips and the pixels of their tubelets."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["paste_tubelets", "patchify", "unpatchify"]


def patchify(videos: Tensor, tubelet_size: int = 2, patch_size: int = 16) -> Tensor:
    """Cuts clips into tubelets.

    Args:
        videos: Clips (B, C, T, H, W) of any dtype.
        tubelet_size: Frames in a tubelet; divides T.
        patch_size: Height and width of a tubelet in pixels; divides H and W.

    Returns:
        Tubelets (B, N, P) of the same dtype: N in (time, row, column) order, P in
        (channel, time, row, column) order.
    """
    B, C, T, H, W = videos.shape
    t, h, w = T // tubelet_size, H // patch_size, W // patch_size
    cut = videos.reshape(B, C, t, tubelet_size, h, patch_size, w, patch_size)
    P = C * tubelet_size * patch_size**2
    return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(B, t * h * w, P)


def unpatchify(
    patches: Tensor,
    grid: tuple[int, int, int],
    tubelet_size: int = 2,
    patch_size: int = 16,
) -> Tensor:
    """Assembles tubelets into clips, the inverse of `patchify`.

    Args:
        patches: Tubelets (B, N, P) of any dtype, P in (channel, time, row, column)
            order.
        grid: Tubelets along time, height and width; their product is N.
        tubelet_size: Frames in a tubelet.
        patch_size: Height and width of a tubelet in pixels.

    Returns:
        Clips (B, C, T, H, W) of the same dtype.

    Raises:
        ValueError: If the number of tubelets or of their pixels does not fit.
    """
    t, h, w = grid
    B, N, P = patches.shape
    pixels = tubelet_size * patch_size**2
    if t * h * w != N or P % pixels:
        raise ValueError(
            f"Invalid shape of patches {tuple(patches.shape)}. "
            f"Supported is (B, {t * h * w}, a multiple of {pixels}) for grid {grid}."
        )
    C = P // pixels
    cut = patches.reshape(B, t, h, w, C, tubelet_size, patch_size, patch_size)
    return cut.permute(0, 4, 1, 5, 2, 6, 3, 7).reshape(
        B, C, t * tubelet_size, h * patch_size, w * patch_size
    )


def paste_tubelets(
    videos: Tensor,
    idx: Tensor,
    patches: Tensor,
    tubelet_size: int = 2,
    patch_size: int = 16,
) -> Tensor:
    """Replaces tubelets of clips, for pictures of reconstructions.

    Args:
        videos: Clips (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
        idx: Int64 tensor (B, n) in [0, N): tubelets to replace.
        patches: Their new pixels (B, n, P), floating point, in (channel, time, row,
            column) order; clamped to [0, 1].
        tubelet_size: Frames in a tubelet.
        patch_size: Height and width of a tubelet in pixels.

    Returns:
        Float32 clips (B, C, T, H, W) in [0, 1].

    Raises:
        ValueError: If the shapes do not match.
    """
    everything = patchify(videos, tubelet_size, patch_size)
    if patches.shape != (*idx.shape, everything.shape[2]):
        raise ValueError(
            f"Invalid shape of patches {tuple(patches.shape)}. "
            f"Supported is {(*idx.shape, everything.shape[2])}."
        )
    scale = 255 if everything.dtype == torch.uint8 else 1
    everything = everything.float() / scale
    index = idx[..., None].expand_as(patches)
    everything = everything.scatter(1, index, patches.float().clamp(0, 1))
    T, H, W = videos.shape[2:]
    grid = (T // tubelet_size, H // patch_size, W // patch_size)
    return unpatchify(everything, grid, tubelet_size, patch_size)
