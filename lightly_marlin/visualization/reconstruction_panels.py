"""Original, mask over the face, reconstruction and error, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lightly_marlin.models.patches import paste_tubelets
from lightly_marlin.visualization.mask_overlay import mask_overlay

__all__ = ["animation", "error_colors", "picture_sheet", "reconstruction_panels"]

_CAPTION_HEIGHT = 16
_GAP = 2
# From black over purple and orange to pale yellow: brighter is always more.
_HEAT = (
    (0.00, 0.00, 0.02),
    (0.34, 0.06, 0.43),
    (0.73, 0.21, 0.33),
    (0.98, 0.55, 0.04),
    (0.99, 1.00, 0.64),
)


def reconstruction_panels(
    videos: Tensor,
    idx_mask: Tensor,
    pred: Tensor,
    cells: Tensor | None = None,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    full_error: float = 0.5,
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
        full_error: The error in [0, 1] that is drawn in the brightest colour.

    Returns:
        By caption, float32 clips (B, 3, T, H, W) in [0, 1]: the original; the mask in
        the colours of the regions; the prediction with the visible tokens in place; the
        absolute error, averaged over the colours, of what was predicted.
    """
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    clips = videos.float() / 255 if videos.dtype == torch.uint8 else videos.float()
    painted = paste_tubelets(clips, idx_mask, pred.float(), **sizes)
    error = (painted - clips).abs().mean(dim=1)
    return {
        "original": clips,
        "mask over regions": mask_overlay(videos, idx_mask, cells, **sizes),
        "reconstruction": painted,
        f"error (0 to {full_error:g})": error_colors(error, full_error),
    }


def error_colors(error: Tensor, full_error: float = 0.5) -> Tensor:
    """Colours errors, from black for none to pale yellow.

    Args:
        error: Floating-point tensor (B, T, H, W), 0 or more.
        full_error: The error of the brightest colour; larger ones look the same.

    Returns:
        float32 tensor (B, 3, T, H, W) in [0, 1].
    """
    colors = torch.tensor(_HEAT, device=error.device)
    position = (error / full_error).clamp(0, 1) * (len(colors) - 1)
    below = position.floor().long().clamp(max=len(colors) - 2)
    share = (position - below)[..., None]
    mixed = colors[below] * (1 - share) + colors[below + 1] * share
    return mixed.movedim(-1, 1)


def picture_sheet(
    panels: Mapping[str, Tensor], frames: Sequence[int], *, clip: int = 0
) -> Image.Image:
    """Draws one row per panel, one column per frame.

    Args:
        panels: Clips (B, 3, T, H, W) in [0, 1] by caption.
        frames: Indices in [0, T) of the frames to show.
        clip: Which of the B clips.

    Returns:
        RGB image.
    """
    height, width = next(iter(panels.values())).shape[-2:]
    row_height = height + _CAPTION_HEIGHT
    size = (len(frames) * (width + _GAP), len(panels) * row_height)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for row, (caption, panel) in enumerate(panels.items()):
        draw.text((2, row * row_height + 2), caption, fill="black")
        for column, frame in enumerate(frames):
            place = (column * (width + _GAP), row * row_height + _CAPTION_HEIGHT)
            sheet.paste(_to_image(panel[clip, :, frame]), place)
    return sheet


def animation(panels: Mapping[str, Tensor], *, clip: int = 0) -> list[Image.Image]:
    """Draws the panels beside each other, one picture per frame.

    Args:
        panels: Clips (B, 3, T, H, W) in [0, 1] by caption.
        clip: Which of the B clips.

    Returns:
        T RGB images.
    """
    height, width = next(iter(panels.values())).shape[-2:]
    size = (len(panels) * (width + _GAP) - _GAP, height + _CAPTION_HEIGHT)
    pictures = []
    for frame in range(next(iter(panels.values())).shape[2]):
        picture = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(picture)
        for column, (caption, panel) in enumerate(panels.items()):
            left = column * (width + _GAP)
            draw.text((left + 2, 2), caption, fill="black")
            picture.paste(_to_image(panel[clip, :, frame]), (left, _CAPTION_HEIGHT))
        pictures.append(picture)
    return pictures


def _to_image(frame: Tensor) -> Image.Image:
    pixels = frame.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(pixels.cpu().contiguous().numpy(), "RGB")
