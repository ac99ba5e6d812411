"""Search of a whole frame for faces, at the scale that their size requires."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.boxes import box_overlap
from lightly_marlin.faces.dlib_models import HOG_WINDOW, Detection, DlibDetector
from lightly_marlin.faces.dlib_networks import CNN_WINDOW, DlibCnnDetector
from lightly_marlin.faces.luma import resize_plane

__all__ = ["search_with_cnn", "search_with_hog"]

# About two seconds of one core.
_MAX_PIXELS_CNN = 250_000

_SAME_FACE_OVERLAP = 0.6


def search_with_hog(
    detector: DlibDetector,
    plane: NDArray[np.uint8],
    min_face: float,
    longest_side: int,
) -> list[Detection]:
    """Finds faces with the HOG detector.

    Args:
        detector: The detector.
        plane: uint8 luma with shape (H, W).
        min_face: Smallest side of a face in plane pixels.
        longest_side: Maximum side to which the plane is enlarged.

    Returns:
        The faces in plane pixels, sorted by decreasing score.
    """
    factor = min(HOG_WINDOW / min_face, longest_side / max(plane.shape))
    return _scaled(detector(resize_plane(plane, factor)), factor)


def search_with_cnn(
    detector: DlibCnnDetector, plane: NDArray[np.uint8], min_face: float
) -> list[Detection]:
    """Finds faces with the CNN detector, which costs a second or more.

    Args:
        detector: The detector.
        plane: uint8 luma with shape (H, W).
        min_face: Smallest side of a face in plane pixels; in planes of over 250,000
            pixels, which are shrunk to that, somewhat larger ones are missed too.

    Returns:
        The faces in plane pixels, sorted by decreasing score, without duplicates.
    """
    factor = min(CNN_WINDOW / min_face, (_MAX_PIXELS_CNN / plane.size) ** 0.5)
    found: list[Detection] = []
    for face in _scaled(detector(resize_plane(plane, factor)), factor):
        others = np.array([other.box for other in found]).reshape(-1, 4)
        overlap = box_overlap(face.box[None], others)
        if not overlap.size or overlap.max() < _SAME_FACE_OVERLAP:
            found.append(face)
    return found


def _scaled(found: list[Detection], factor: float) -> list[Detection]:
    return [Detection(face.box / factor, face.score) for face in found]
