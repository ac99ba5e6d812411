"""Heat map colours, brighter for higher values, and their scale."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lightly_marlin.visualization.drawing import (
    PAPER,
    SOFT,
    draw_text,
    fit_text,
    text_width,
)

__all__ = ["heat_colors", "heat_scale"]

_SIZE = 13
_LINE = 22
_BAR = (160, 12)

# From black over purple and orange to pale yellow.
_HEAT = (
    (0.00, 0.00, 0.02),
    (0.34, 0.06, 0.43),
    (0.73, 0.21, 0.33),
    (0.98, 0.55, 0.04),
    (0.99, 1.00, 0.64),
)


def heat_colors(values: Tensor, brightest: float = 1.0) -> Tensor:
    """Colours values, from black for 0 to pale yellow.

    Args:
        values: Floating-point tensor (B, T, H, W).
        brightest: The value of the brightest colour; higher ones are clipped.

    Returns:
        float32 tensor (B, 3, T, H, W) in [0, 1].
    """
    colors = torch.tensor(_HEAT, device=values.device)
    position = (values / brightest).clamp(0, 1) * (len(colors) - 1)
    below = position.floor().long().clamp(max=len(colors) - 2)
    share = (position - below)[..., None]
    mixed = colors[below] * (1 - share) + colors[below + 1] * share
    return mixed.movedim(-1, 1)


def heat_scale(
    width: int, text: str, low: str, high: str, *, strength: float = 1.0
) -> Image.Image:
    """Draws a colour scale: the lowest value, the colours, the highest value, a text.

    Args:
        width: Width of the picture in pixels.
        text: Name of the quantity.
        low: Value of the darkest colour.
        high: Value of the brightest colour.
        strength: Opacity of the paint in [0, 1], over mid-grey.

    Returns:
        RGB image.
    """
    picture = Image.new("RGB", (width, _LINE), PAPER)
    draw = ImageDraw.Draw(picture)
    draw_text(draw, (0, _LINE // 2), low, _SIZE, SOFT, "lm")
    left = text_width(low, _SIZE) + 7
    length, thickness = _BAR
    ramp = heat_colors(torch.linspace(0, 1, length).view(1, 1, 1, length))[0, :, 0, 0].T
    colors = (ramp * strength + 0.5 * (1 - strength)).mul(255).round().numpy()
    bar = np.broadcast_to(colors.astype(np.uint8), (thickness, length, 3))
    picture.paste(Image.fromarray(np.ascontiguousarray(bar)), (left, 5))
    left += length + 7
    draw_text(draw, (left, _LINE // 2), high, _SIZE, SOFT, "lm")
    left += text_width(high, _SIZE) + 14
    text = fit_text(text, _SIZE, max(0, width - left))
    draw_text(draw, (left, _LINE // 2), text, _SIZE, SOFT, "lm")
    return picture
