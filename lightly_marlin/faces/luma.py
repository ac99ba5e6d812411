"""The grey planes that detectors, trackers and landmarks work on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["check_frame", "cut_region", "luma_plane", "resize_plane"]


def check_frame(frame: NDArray[np.uint8]) -> None:
    """Raises ValueError unless `frame` is a non-empty (H, W, 3) uint8 RGB frame."""
    if (
        not isinstance(frame, np.ndarray)
        or frame.dtype != np.uint8
        or frame.ndim != 3
        or frame.shape[-1] != 3
        or frame.size == 0
    ):
        found = (
            f"{frame.dtype} with shape {frame.shape}"
            if isinstance(frame, np.ndarray)
            else type(frame).__name__
        )
        raise ValueError(
            f"Invalid frame {found}: must be a uint8 array with shape (H, W, 3), RGB."
        )


def luma_plane(
    frame: NDArray[np.uint8], longest_side: int
) -> tuple[NDArray[np.uint8], float]:
    """Converts a frame to luma and shrinks it if it is large.

    dlib's tools use one channel only, and three cost them three times as much to read.

    Args:
        frame: uint8 array with shape (H, W, 3), RGB.
        longest_side: Larger planes are shrunk to this longest side, in pixels.

    Returns:
        The plane, a contiguous uint8 array with shape (h, w), and plane pixels per
        source pixel, in (0, 1].
    """
    image = Image.fromarray(np.ascontiguousarray(frame)).convert("L")
    scale = min(1.0, longest_side / max(image.size))
    if scale < 1.0:
        size = (max(1, round(side * scale)) for side in image.size)
        image = image.resize(tuple(size), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image), scale


def resize_plane(plane: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Returns a (h, w) uint8 plane resized by `scale`, filtered when it shrinks."""
    height, width = plane.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return plane
    image = Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image)


def cut_region(
    plane: NDArray[np.uint8], box: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cuts the part of a plane under a box and resizes it.

    Args:
        plane: uint8 array with shape (h, w).
        box: float array with shape (4,): x0, y0, x1, y1 in plane pixels.
        scale: Region pixels per plane pixel.

    Returns:
        The region, a uint8 array whose sides are 0 if the box misses the plane, and its
        origin (x, y) in plane pixels, float64 with shape (2,).
    """
    height, width = plane.shape
    x0, y0 = (int(np.clip(v, 0, side)) for v, side in zip(box[:2], (width, height)))
    x1, y1 = (
        int(np.clip(np.ceil(v), 0, side)) for v, side in zip(box[2:], (width, height))
    )
    origin = np.array([x0, y0], dtype=np.float64)
    if x1 <= x0 or y1 <= y0:
        return np.zeros((0, 0), dtype=np.uint8), origin
    return resize_plane(np.ascontiguousarray(plane[y0:y1, x0:x1]), scale), origin
