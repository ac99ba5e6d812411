"""Target of the reconstruction loss, and its gradient with respect to the clip.

The plain PyTorch under the op of the loss: it works in memory of its own, where the
reference, which autograd differentiates, would copy.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.kernels import reference

__all__ = ["target_pixels", "target_pixels_backward"]


def target_pixels(
    videos: Tensor,
    idx: Tensor,
    tubelet_size: int,
    patch_size: int,
    *,
    norm_pix: bool,
    target: str,
    dtype: torch.dtype,
) -> Tensor:
    """Returns what predictions are compared with, in memory of its own.

    Args:
        videos: (B, C, T, H, W).
        idx: (B, n) int64.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        norm_pix: Whether the pixels of each token are normalised.
        target: "pixels" or "motion", as `reference.motion_target` makes it of them.
        dtype: Of the result.

    Returns:
        (B, n, P) of `dtype`, contiguous.
    """
    pixels = reference.gather_tubelets(
        videos, idx, tubelet_size=tubelet_size, patch_size=patch_size, dtype=dtype
    )
    if norm_pix:
        pixels = reference.normalize_pixels(pixels)
    pixels = pixels.contiguous()
    if target == "motion":
        first, later = reference.split_frames(pixels, tubelet_size, patch_size)
        later -= first
    return pixels


def target_pixels_backward(
    grad: Tensor,
    videos: Tensor | None,
    idx: Tensor,
    tubelet_size: int,
    patch_size: int,
    *,
    norm_pix: bool,
    target: str,
) -> Tensor:
    """Returns the gradient with respect to the raw pixels of the chosen tokens.

    Args:
        grad: (B, n, P) float32 or float64, that of the target; may be overwritten.
        videos: (B, C, T, H, W); needed for `norm_pix` alone.
        idx: (B, n) int64.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        norm_pix: As in `target_pixels`.
        target: As in `target_pixels`.

    Returns:
        (B, n, P) of the dtype of `grad`.
    """
    if target == "motion":
        # Every later frame's target has the first frame subtracted.
        first, later = reference.split_frames(grad, tubelet_size, patch_size)
        first -= later.sum(dim=-2, keepdim=True)
    if not norm_pix:
        return grad
    assert videos is not None
    pixels = target_pixels(
        videos,
        idx,
        tubelet_size,
        patch_size,
        norm_pix=False,
        target="pixels",
        dtype=grad.dtype,
    )
    return _normalize_pixels_backward(grad, pixels)


def _normalize_pixels_backward(grad: Tensor, pixels: Tensor) -> Tensor:
    """Gradient of `reference.normalize_pixels` at `pixels`, all (B, n, P)."""
    scale = pixels.shape[-1] - 1
    centred = pixels - pixels.mean(dim=-1, keepdim=True)
    variance = centred.square().sum(dim=-1, keepdim=True) / scale
    inverse = (variance + reference.NORM_PIX_EPS).rsqrt()
    normed = centred * inverse
    along = (grad * normed).sum(dim=-1, keepdim=True) / scale
    return (grad - grad.mean(dim=-1, keepdim=True) - normed * along) * inverse
