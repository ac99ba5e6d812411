"""What a reconstruction loss is worth: the loss of predicting the mean colour."""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.kernels import masked_reconstruction_loss

__all__ = ["mean_color_loss"]


def mean_color_loss(
    videos: Tensor, idx_mask: Tensor, *, tubelet_size: int = 2, patch_size: int = 16
) -> Tensor:
    """Returns the reconstruction loss of predicting each clip's mean colour.

    Args:
        videos:
            Tensor with shape (B, C, T, H, W), uint8 in [0, 255] or floating point in
            [0, 1].
        idx_mask: int64 indices of the masked tokens, (B, n_mask).
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.

    Returns:
        float32 scalar: mean squared error of the masked tokens.
    """
    colors = videos.float().mean(dim=(2, 3, 4))
    if videos.dtype == torch.uint8:
        colors = colors / 255
    pixels = tubelet_size * patch_size**2
    pred = colors.repeat_interleave(pixels, dim=1)
    pred = pred.unsqueeze(1).expand(-1, idx_mask.shape[1], -1)
    return masked_reconstruction_loss(
        pred.contiguous(),
        videos,
        idx_mask,
        tubelet_size=tubelet_size,
        patch_size=patch_size,
    )
