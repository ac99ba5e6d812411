"""Luma planes: the only input of detectors, trackers and landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["check_frame", "luma_plane", "resize_plane"]


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
    picture: NDArray[np.uint8], longest_side: int
) -> tuple[NDArray[np.uint8], float]:
    """Returns the luma of a picture, shrunk if it is large.

    dlib's tools use only one channel, and reading three takes three times as long.

    Args:
        picture: uint8 array: an RGB frame (H, W, 3), or its luma (H, W).
        longest_side: Longest side, in pixels, to which larger planes are shrunk.

    Returns:
        The plane, a contiguous uint8 array with shape (h, w), and plane pixels per
        source pixel, in (0, 1].

    Raises:
        ValueError: If the picture is not such an array.
    """
    if not _is_plane(picture):
        check_frame(picture)
    image = Image.fromarray(np.ascontiguousarray(picture))
    if image.mode != "L":
        image = image.convert("L")
    scale = min(1.0, longest_side / max(image.size))
    if scale < 1.0:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize(
            (width, height), Image.Resampling.BILINEAR, reducing_gap=2.0
        )
    return np.asarray(image), scale


def _is_plane(picture: object) -> bool:
    return (
        isinstance(picture, np.ndarray)
        and picture.dtype == np.uint8
        and picture.ndim == 2
        and picture.size > 0
    )


def resize_plane(plane: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Returns a (h, w) uint8 plane resized by `scale`, filtered when it shrinks."""
    height, width = plane.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return plane
    image = Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image)
