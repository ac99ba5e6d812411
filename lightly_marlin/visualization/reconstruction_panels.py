"""Original, mask over the face, reconstruction and error, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from lightly_marlin.models.patches import paste_tubelets
from lightly_marlin.visualization.drawing import text_block
from lightly_marlin.visualization.heat import heat_colors
from lightly_marlin.visualization.legend import heat_scale, region_legend
from lightly_marlin.visualization.mask_overlay import mask_overlay, masked_pixels

__all__ = ["reconstruction_footer", "reconstruction_panels"]

_FULL_ERROR = 0.5
# No heat is grey, so that what was not predicted is not taken for predicted well.
_VISIBLE = 0.55


def reconstruction_panels(
    videos: Tensor,
    idx_mask: Tensor,
    pred: Tensor,
    cells: Tensor | None = None,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
) -> dict[str, Tensor]:
    """Makes the four pictures of a reconstruction.

    Args:
        videos:
            Tensor with shape (B, 3, T, H, W), uint8 in [0, 255] or floating point in
            [0, 1].
        idx_mask: int64 indices of the masked tokens, (B, n_mask).
        pred: Predicted pixels of the masked tokens in [0, 1], (B, n_mask, P).
        cells: int32 bit masks of region cells, (B, T, H / 8, W / 8), if there are any.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.

    Returns:
        By caption, float32 clips (B, 3, T, H, W) in [0, 1]: the original; the mask in
        the colours of the regions; the prediction with the visible tokens in place; the
        absolute error, averaged over the colours, of what was predicted, up to 0.5, and
        grey where nothing was.
    """
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    clips = videos.float() / 255 if videos.dtype == torch.uint8 else videos.float()
    painted = paste_tubelets(clips, idx_mask, pred.float(), **sizes)
    error = heat_colors((painted - clips).abs().mean(dim=1), _FULL_ERROR)
    masked = masked_pixels(idx_mask, clips.shape, **sizes)
    return {
        "original": clips,
        "mask over regions": mask_overlay(videos, idx_mask, cells, **sizes),
        "reconstruction": painted,
        "error": torch.where(masked, error, _VISIBLE),
    }


def reconstruction_footer(width: int) -> Sequence[Image.Image]:
    """Draws what the colours of the panels mean, at a width in pixels."""
    return (
        region_legend(width, background="background"),
        heat_scale(
            width,
            "error of a masked pixel, mean of its three colours in [0, 1]",
            "0",
            f"{_FULL_ERROR:g} and more",
        ),
        text_block(
            "Painted tokens are masked. The reconstruction shows what the model "
            "predicts for them, with the visible tokens in place; these are grey in "
            "the error.",
            width,
        ),
    )
