"""Histograms of oriented gradients (HOG) of tubelets, a target to predict."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lightly_marlin.utils.luma import LUMA

__all__ = ["EPSILON", "gradient_histograms", "histogram_dim"]

EPSILON = 0.02
"""Epsilon of the norm, a mean gradient of 5 levels of 256: cells with weaker ones fade,
as their coding noise would be amplified otherwise."""


def histogram_dim(cells: int = 2, bins: int = 18) -> int:
    """Returns how many numbers H describe a tubelet.

    Args:
        cells: Cells along each side of a tubelet.
        bins: Orientation bins of the whole turn.

    Raises:
        ValueError: If there is no cell or no bin.
    """
    if min(cells, bins) < 1:
        raise ValueError(f"Invalid cells ({cells}) or bins ({bins}): at least 1.")
    return bins * cells**2


@torch.no_grad()
def gradient_histograms(
    videos: Tensor,
    tubelet_size: int = 2,
    patch_size: int = 16,
    cells: int = 2,
    bins: int = 18,
) -> Tensor:
    """Describes every tubelet by the orientations of its gradients [0].

    Gradients of the luma of a tubelet's mean frame are central differences, undivided;
    at the border, the pixel itself replaces its missing neighbour. Each pixel adds the
    magnitude of its gradient to the bin of its orientation, of its cell. The histogram
    of a cell is then divided by its Euclidean norm, so that light and contrast hardly
    matter; cells without edges stay near zero. Bins are hard, and the first begins at 0
    degrees: the two bins beside it share the gradients of vertical edges.

    MaskFeat trains masked autoencoders to predict such histograms [1]. It takes
    orientations modulo 180 degrees, in 9 bins; here an edge from dark to bright differs
    from its reverse, as teeth do from pupils. MaskFeat also treats colour channels
    separately, and takes one frame of a tubelet.

    - [0]: Histograms of oriented gradients for human detection, 2005,
      https://doi.org/10.1109/CVPR.2005.177
    - [1]: MaskFeat, 2021, https://arxiv.org/abs/2112.09133

    Args:
        videos: Clips (B, 3, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        tubelet_size: Frames in a tubelet; divides T.
        patch_size: Height and width of a tubelet in pixels; divides H and W.
        cells: Cells along each side of a tubelet; divides `patch_size`.
        bins: Orientation bins of the whole turn.

    Returns:
        Histograms (B, N, H), float32 in [0, 1], without a graph: N in (time, row,
        column) order, H in (row of the cell, column of the cell, bin) order.

    Raises:
        ValueError: If a shape or size is invalid.
    """
    histogram_dim(cells, bins)
    _check(videos, tubelet_size, patch_size, cells)
    cell = patch_size // cells
    with torch.autocast(videos.device.type, enabled=False):
        luma = _luma(videos)
        B, T, H, W = luma.shape
        luma = luma.view(B, T // tubelet_size, tubelet_size, H, W).mean(dim=2)
        along_x, along_y = _gradient(luma)
        magnitude = torch.hypot(along_x, along_y)
        turns = torch.atan2(along_y, along_x).div_(2 * math.pi / bins).floor_()
        bin_of = turns.remainder_(bins)
        # A bin at a time: all at once would hold as many copies of the clips.
        means = [
            F.avg_pool2d(magnitude * (bin_of == index), cell) for index in range(bins)
        ]
        histograms = torch.stack(means, dim=-1)
        squares = histograms.square().sum(dim=-1, keepdim=True)
        histograms /= (squares + EPSILON**2).sqrt_()
    return _by_tubelet(histograms, cells)


def _check(videos: Tensor, tubelet_size: int, patch_size: int, cells: int) -> None:
    if min(tubelet_size, patch_size) < 1:
        raise ValueError(
            f"Invalid tubelet_size ({tubelet_size}) or patch_size ({patch_size}): at "
            "least 1."
        )
    if patch_size % cells:
        raise ValueError(
            f"Invalid cells ({cells}). They must divide patch_size {patch_size}."
        )
    if videos.ndim != 5 or videos.shape[1] != 3:
        raise ValueError(
            f"Invalid shape of videos {tuple(videos.shape)}. "
            "Supported is (B, 3, T, H, W)."
        )
    T, H, W = videos.shape[2:]
    if T % tubelet_size or H % patch_size or W % patch_size:
        raise ValueError(
            f"Invalid shape of videos {tuple(videos.shape)}. T must be a multiple of "
            f"{tubelet_size}, H and W of {patch_size}."
        )


def _luma(videos: Tensor) -> Tensor:
    """Returns the luma (B, T, H, W), float32 in [0, 1]."""
    scale = 1.0 if videos.is_floating_point() else 1 / 255
    # Numbers, not a tensor of them: a CUDA graph cannot capture a copy from the host.
    red, green, blue = (
        weight * scale * part
        for weight, part in zip(LUMA, videos.float().unbind(dim=1), strict=True)
    )
    return red + green + blue


def _gradient(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Returns differences along x and y of frames (B, T, H, W), of the same shape."""
    padded = F.pad(frames, (1, 1, 1, 1), mode="replicate")
    along_x = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    along_y = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return along_x, along_y


def _by_tubelet(histograms: Tensor, cells: int) -> Tensor:
    """Turns histograms (B, t, rows, columns, bins) of cells into tubelets (B, N, H)."""
    B, t, rows, columns, bins = histograms.shape
    h, w = rows // cells, columns // cells
    cut = histograms.reshape(B, t, h, cells, w, cells, bins)
    return cut.permute(0, 1, 2, 4, 3, 5, 6).reshape(B, t * h * w, cells**2 * bins)
