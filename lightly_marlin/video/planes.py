"""Planes of decoded pictures as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["first_plane", "has_luma"]


def has_luma(video_format: Any) -> bool:
    """Returns whether the first plane of a pixel format is luma of one byte per pixel.

    Args:
        video_format: PyAV's `VideoFormat`.
    """
    first = video_format.components[0]
    return bool(
        first.bits == 8
        and first.plane == 0
        and first.is_luma
        and not video_format.has_palette
        and all(other.plane != 0 for other in video_format.components[1:])
    )


def first_plane(frame: Any, num_channels: int) -> npt.NDArray[np.uint8]:
    """Returns a view of the first plane.

    Args:
        frame: A decoded frame of PyAV with one byte per channel.
        num_channels: Channels that are interleaved in the plane.

    Returns:
        uint8 array with shape (H, W), or (H, W, num_channels) for more than one.
    """
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    rows = rows[: frame.height, : frame.width * num_channels]
    if num_channels == 1:
        return rows
    return rows.reshape(frame.height, frame.width, num_channels)
