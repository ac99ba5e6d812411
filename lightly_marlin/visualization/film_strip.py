"""Film strip: frames of several videos below each other, moment by moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from lightly_marlin.visualization.panels import panel_clips, panel_sheet

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

__all__ = ["film_strip"]

_SIDE = 128
"""Width of a frame in the picture in pixels."""


def film_strip(
    rows: Mapping[str, npt.NDArray[np.uint8] | Tensor], *, frames: int = 8
) -> Image.Image:
    """Draws one row per video, one column per moment, each row below its name.

    Columns are evenly spaced from the first frame to the last. Rows of one length show
    the same moments; a row of another length is spread over its own.

    Args:
        rows: Videos by name, such as "real", "masked" and "generated": uint8 arrays or
            tensors (T, H, W, 3), RGB. All are drawn in the size of the first.
        frames: Columns at most, at least 1; fewer if a video is shorter.

    Returns:
        RGB image.

    Raises:
        ValueError: If there is no row, one has another shape or type or no frames, or
            `frames` is below 1.
    """
    if not rows:
        raise ValueError("Invalid rows: there is none to draw.")
    if frames < 1:
        raise ValueError(f"Invalid frames ({frames}). It must be at least 1.")
    videos = {name: _checked(name, row) for name, row in rows.items()}
    columns = min(frames, *map(len, videos.values()))
    shown = {name: _spread(video, columns) for name, video in videos.items()}
    return panel_sheet(shown, range(columns), side=_SIDE)


def _checked(name: str, row: Any) -> Tensor:
    """Returns a row as a tensor (T, H, W, 3)."""
    # Torch takes no array that is read-only or mirrored.
    video = torch.as_tensor(
        np.require(row, requirements=("C", "W")) if isinstance(row, np.ndarray) else row
    )
    shape = tuple(video.shape)
    if video.dtype != torch.uint8 or video.ndim != 4 or shape[3] != 3 or 0 in shape:
        raise ValueError(
            f"Invalid row {name!r} with shape {shape} and dtype {video.dtype}. "
            "Supported is (T, H, W, 3) with T >= 1, torch.uint8."
        )
    return video


def _spread(video: Tensor, columns: int) -> Tensor:
    """Returns evenly spaced frames as a panel (1, 3, columns, H, W) in [0, 1]."""
    index = torch.linspace(0, len(video) - 1, columns).round().long()
    return panel_clips(video[index.to(video.device)].permute(3, 0, 1, 2)[None])
