"""Original, mask over the face, what the model saw, and what it made of it."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from lightly_marlin.models.patches import paste_tubelets
from lightly_marlin.visualization.drawing import PAPER, stack
from lightly_marlin.visualization.legend import region_legend
from lightly_marlin.visualization.mask_overlay import mask_overlay
from lightly_marlin.visualization.panels import panel_sheet

__all__ = ["reconstruction_sheet"]

_ROWS = ("original", "mask over regions", "visible", "reconstructed")
_HIDDEN = 0.5
_INDENT = 8


def reconstruction_sheet(
    videos: Tensor,
    idx_mask: Tensor,
    pred: Tensor,
    cells: Tensor | None = None,
    *,
    num_frames: int = 6,
    tubelet_size: int = 2,
    patch_size: int = 16,
) -> Image.Image:
    """Draws a sheet with four rows of frames for every clip.

    The rows are the original, the mask in the colours of the regions, the visible
    tokens, and the reconstruction with the visible tokens in place.

    Args:
        videos:
            Tensor with shape (B, 3, T, H, W), uint8 in [0, 255] or floating point in
            [0, 1].
        idx_mask: int64 indices of the masked tokens, (B, n_mask).
        pred: Predicted pixels of the masked tokens in [0, 1], (B, n_mask, P).
        cells: int32 bit masks of region cells, (B, T, H / 8, W / 8), if there are any.
        num_frames: Frames to show, at even distances.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.

    Returns:
        RGB image, with a legend of the regions if there are any.
    """
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    clips = videos.float() / 255 if videos.dtype == torch.uint8 else videos.float()
    hidden = torch.full_like(pred, _HIDDEN, dtype=torch.float32)
    rows = (
        clips,
        mask_overlay(videos, idx_mask, cells, **sizes),
        paste_tubelets(clips, idx_mask, hidden, **sizes),
        paste_tubelets(clips, idx_mask, pred.float(), **sizes),
    )
    index = torch.linspace(0, videos.shape[2] - 1, num_frames).round().long().tolist()
    panels = dict(zip(_ROWS, rows, strict=True))
    sheets = [panel_sheet(panels, index, clip=clip) for clip in range(len(videos))]
    if cells is not None:
        width = sheets[0].width - 2 * _INDENT
        legend = Image.new("RGB", (sheets[0].width, 40), PAPER)
        legend.paste(region_legend(width, background="background"), (_INDENT, 0))
        sheets.append(legend)
    return stack(sheets)
