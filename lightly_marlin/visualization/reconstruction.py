"""Pictures of reconstructions: sheets during training, panels with the error."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from lightly_marlin.models.patches import paste_tubelets
from lightly_marlin.visualization.drawing import PAPER, stack, text_block
from lightly_marlin.visualization.heat import heat_colors, heat_scale
from lightly_marlin.visualization.mask_overlay import mask_overlay, masked_pixels
from lightly_marlin.visualization.panels import panel_clips, panel_sheet
from lightly_marlin.visualization.region_colors import region_legend

__all__ = ["reconstruction_footer", "reconstruction_panels", "reconstruction_sheet"]

_ROWS = ("original", "mask over regions", "visible", "reconstructed")
_HIDDEN = 0.5
_INDENT = 8
_FULL_ERROR = 0.5
# No heat colour is grey, so unpredicted tokens do not look well predicted.
_VISIBLE = 0.55


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
        num_frames: Frames to show, evenly spaced.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.

    Returns:
        RGB image, with a legend of the regions if there are any.
    """
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    clips = panel_clips(videos)
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
        absolute error of the predicted tokens, averaged over the colours, up to 0.5,
        with the others in grey.
    """
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    clips = panel_clips(videos)
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
    """Draws the legend of the panels' colours, for a width in pixels."""
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
