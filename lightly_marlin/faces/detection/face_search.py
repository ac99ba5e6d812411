"""Search for faces with any detector, at the scale that their size requires."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightly_marlin.faces.boxes import box_overlap
from lightly_marlin.faces.detection.detector import Detection, FaceDetector
from lightly_marlin.faces.luma import resize_plane

__all__ = ["look_at_chip", "search_frame"]

_SAME_FACE_OVERLAP = 0.6


def search_frame(
    detector: FaceDetector,
    plane: NDArray[np.uint8],
    min_face: float,
    longest_side: int,
    picture: NDArray[np.uint8] | None = None,
) -> list[Detection]:
    """Finds the faces of a whole frame.

    Args:
        detector: The detector.
        plane: uint8 luma with shape (H, W).
        min_face: Smallest side of a face in plane pixels; if the plane has more pixels
            than the detector searches, larger faces are missed too.
        longest_side: Maximum side to which the plane is enlarged.
        picture: RGB frame of the plane, uint8 with shape (h, w, 3), for a detector of
            colour; None repeats the luma.

    Returns:
        The faces in plane pixels, sorted by decreasing score, without duplicates.
    """
    factor = min(detector.smallest_face / min_face, longest_side / max(plane.shape))
    if detector.max_pixels is not None:
        factor = min(factor, (detector.max_pixels / plane.size) ** 0.5)
    image = resize_plane(plane, factor)
    found: list[Detection] = []
    for face in _detect(detector, image, picture, expected=False):
        others = np.array([other.box for other in found]).reshape(-1, 4)
        overlap = box_overlap(face.box[None], others)
        if not overlap.size or overlap.max() < _SAME_FACE_OVERLAP:
            found.append(face)
    return [Detection(face.box / factor, face.score) for face in found]


def look_at_chip(detector: FaceDetector, chip: NDArray[np.uint8]) -> list[Detection]:
    """Finds faces in uint8 luma (H, W) that shows where one is expected."""
    return _detect(detector, chip, None, expected=True)


def _detect(
    detector: FaceDetector,
    image: NDArray[np.uint8],
    picture: NDArray[np.uint8] | None,
    *,
    expected: bool,
) -> list[Detection]:
    """Shows a detector an image in the form that it takes."""
    if detector.color and picture is not None:
        size = image.shape[::-1]
        resized = Image.fromarray(np.ascontiguousarray(picture)).resize(
            size, Image.Resampling.BILINEAR, reducing_gap=2.0
        )
        image = np.asarray(resized)
    elif detector.color:
        image = np.repeat(image[..., None], 3, axis=-1)
    return detector.detect(image[None], expected=expected)[0]
