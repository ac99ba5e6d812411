"""dlib's face tools behind small classes with a NumPy interface.

The model files come with the package `face_recognition_models`. Its landmark predictor
was trained on iBUG 300-W, whose licence excludes commercial use.

- [0]: dlib, http://dlib.net
- [1]: One Millisecond Face Alignment with an Ensemble of Regression Trees, 2014
- [2]: Accurate Scale Estimation for Robust Visual Tracking, 2014
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.detection.detector import (
    Detection,
    FaceDetector,
    LandmarkPredictor,
)
from lightly_marlin.faces.model_weights import HOG_WEIGHTS, LANDMARK_WEIGHTS
from lightly_marlin.faces.tracking.track import NUM_LANDMARKS
from lightly_marlin.utils.dependency import require

__all__ = [
    "DlibDetector",
    "DlibLandmarks",
    "DlibTracker",
    "check_plane",
    "model_file",
]

# A face that was seen before is expected, so a weaker answer is enough.
_EXPECTED_THRESHOLD = -0.3


def model_file(name: str) -> Path:
    """Returns the path of a model file of `face_recognition_models`.

    The package itself is not imported: it needs `pkg_resources`, which was removed.

    Args:
        name: File name, for example "shape_predictor_68_face_landmarks.dat".

    Returns:
        The existing file.

    Raises:
        ModuleNotFoundError: If the package is not installed.
        FileNotFoundError: If it has no such file.
    """
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        require("face_recognition_models", purpose="Finding facial landmarks")
        raise FileNotFoundError("face_recognition_models is not a package folder.")
    for folder in spec.submodule_search_locations:
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"No model file {name} in {list(spec.submodule_search_locations)}: install "
        "face_recognition_models again."
    )


@functools.cache
def _frontal_detector() -> Any:
    dlib = require("dlib", purpose="Finding faces")
    return dlib.get_frontal_face_detector()


@functools.cache
def _shape_predictor() -> Any:
    # It takes 100 MB and half a second, so it is loaded once per process.
    dlib = require("dlib", purpose="Finding facial landmarks")
    return dlib.shape_predictor(
        str(model_file("shape_predictor_68_face_landmarks.dat"))
    )


def check_plane(image: NDArray[np.uint8]) -> None:
    """Raises ValueError unless `image` is a uint8 (H, W) plane."""
    if image.dtype != np.uint8 or image.ndim != 2:
        raise ValueError(
            f"Invalid image {image.dtype} with shape {image.shape}: must be uint8 luma "
            "with shape (H, W)."
        )


class DlibDetector(FaceDetector):
    """dlib's frontal face detector: HOG features, five views, sides from 80 pixels."""

    smallest_face = 80.0
    weights = (HOG_WEIGHTS,)

    def __init__(self) -> None:
        self._detector = _frontal_detector()

    def __call__(
        self, image: NDArray[np.uint8], threshold: float = 0.0
    ) -> list[Detection]:
        """Finds faces.

        Args:
            image:
                uint8 luma with shape (H, W). Enlarge it to find faces below 80 pixels.
            threshold: Minimum score of a face; dlib's own is 0.

        Returns:
            The faces, sorted by decreasing score; boxes may reach outside the image.
        """
        check_plane(image)
        if min(image.shape) < self.smallest_face / 2:
            return []
        rectangles, scores, _ = self._detector.run(
            np.ascontiguousarray(image), 0, threshold
        )
        return [
            Detection(
                np.array(
                    [r.left(), r.top(), r.right() + 1, r.bottom() + 1], dtype=np.float64
                ),
                float(score),
            )
            for r, score in zip(rectangles, scores, strict=True)
        ]

    def detect(
        self, images: NDArray[np.uint8], *, expected: bool = False
    ) -> list[list[Detection]]:
        """Finds faces in luma with shape (n, H, W); see `FaceDetector`."""
        threshold = _EXPECTED_THRESHOLD if expected else 0.0
        return [self(image, threshold) for image in images]


class DlibLandmarks(LandmarkPredictor):
    """dlib's 68 facial landmarks [1]. Always answers, also where there is no face."""

    weights = (LANDMARK_WEIGHTS,)

    def __init__(self) -> None:
        self._predictor = _shape_predictor()
        self._rectangle = require("dlib", purpose="Finding facial landmarks").rectangle

    def __call__(
        self, image: NDArray[np.uint8], boxes: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Fits landmarks to the faces in boxes.

        Args:
            image: uint8 luma with shape (H, W).
            boxes:
                Array with shape (n, 4): x0, y0, x1, y1 in pixels, as the detector
                returns them; may reach outside the image.

        Returns:
            float32 array with shape (n, 68, 2): x, y in pixels; may lie outside.
        """
        check_plane(image)
        image = np.ascontiguousarray(image)
        landmarks = np.empty((len(boxes), NUM_LANDMARKS, 2), dtype=np.float32)
        corners = np.rint(boxes).astype(int).tolist()
        for row, (x0, y0, x1, y1) in zip(landmarks, corners, strict=True):
            rectangle = self._rectangle(x0, y0, max(x1 - 1, x0), max(y1 - 1, y0))
            parts = self._predictor(image, rectangle).parts()
            row[:] = [(part.x, part.y) for part in parts]
        return landmarks


class DlibTracker:
    """dlib's correlation tracker [2], which follows any content of a box."""

    def __init__(self, image: NDArray[np.uint8], box: NDArray[np.floating]) -> None:
        """Starts tracking.

        Args:
            image: uint8 luma with shape (H, W).
            box: Array with shape (4,): x0, y0, x1, y1 in pixels, not empty.
        """
        check_plane(image)
        dlib = require("dlib", purpose="Following faces")
        self._tracker = dlib.correlation_tracker()
        self._tracker.start_track(
            np.ascontiguousarray(image), dlib.drectangle(*map(float, box))
        )

    def update(self, image: NDArray[np.uint8]) -> float:
        """Finds the box in the next frame.

        Args:
            image: uint8 luma with the shape of the first image.

        Returns:
            Ratio of the correlation's peak to its side lobes: certain above 7, a guess
            below 5.
        """
        return float(self._tracker.update(np.ascontiguousarray(image)))

    @property
    def box(self) -> NDArray[np.float64]:
        """The box in the last frame, float64 with shape (4,): x0, y0, x1, y1."""
        position = self._tracker.get_position()
        return np.array(
            [position.left(), position.top(), position.right(), position.bottom()],
            dtype=np.float64,
        )
