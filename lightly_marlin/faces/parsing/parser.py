"""Face parsers: frames and boxes in, region maps out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightly_marlin.faces.boxes import face_boxes
from lightly_marlin.faces.crop import CROP_PADDING
from lightly_marlin.faces.detection.dlib_models import DlibLandmarks
from lightly_marlin.faces.parsing.landmark_regions import regions_from_landmarks
from lightly_marlin.faces.tracking.track import NUM_LANDMARKS

__all__ = ["FaceParser", "LandmarkParser", "check_parser_input"]

_NUM_REFITS = 2


@runtime_checkable
class FaceParser(Protocol):
    """Parser that labels every pixel with the part of the face it shows.

    A parser may have a string attribute `fingerprint`. Where it changes, the parser's
    answers may, and `prepare_videos` does videos again that it had finished. It may
    have a tuple of `ModelWeights`, `weights`: a store then names its licences.
    """

    def __call__(
        self, frames: NDArray[np.uint8], boxes: NDArray[np.floating]
    ) -> NDArray[np.uint8]:
        """Parses one face per frame.

        Args:
            frames: uint8 array with shape (T, H, W, 3), RGB.
            boxes:
                Array with shape (T, 4): x0, y0, x1, y1 of the padded crop box of the
                face in each frame, in pixels. For face crops it is the whole frame,
                (0, 0, W, H).

        Returns:
            uint8 array with shape (T, H, W) of LaPa labels in [0, 10]; background
            outside the boxes.
        """


def check_parser_input(frames: NDArray[np.uint8], boxes: NDArray[np.floating]) -> None:
    """Raises ValueError unless frames and boxes are as `FaceParser` takes them."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(
            f"Invalid frames {frames.dtype} with shape {frames.shape}: must be uint8 "
            "with shape (T, H, W, 3)."
        )
    if boxes.shape != (len(frames), 4):
        raise ValueError(
            f"Invalid shape of boxes {boxes.shape}: must be ({len(frames)}, 4), one "
            "box per frame."
        )


class LandmarkParser:
    """Parses faces with dlib's 68 landmarks; hair and forehead are estimated."""

    weights = DlibLandmarks.weights

    def __init__(self) -> None:
        self._landmarks = DlibLandmarks()

    def __reduce__(self) -> tuple[type[LandmarkParser], tuple[()]]:
        # The model cannot be pickled; a copy loads it again.
        return type(self), ()

    def __call__(
        self, frames: NDArray[np.uint8], boxes: NDArray[np.floating]
    ) -> NDArray[np.uint8]:
        """Parses one face per frame; see `FaceParser`.

        Raises:
            ValueError: If frames or boxes are invalid.
        """
        check_parser_input(frames, boxes)
        landmarks = np.empty((len(frames), NUM_LANDMARKS, 2), dtype=np.float32)
        for index, (frame, box) in enumerate(zip(frames, boxes, strict=True)):
            landmarks[index] = self._fit(frame, np.asarray(box, dtype=np.float64))
        height, width = frames.shape[1:3]
        return regions_from_landmarks(landmarks, height, width)

    def _fit(
        self, frame: NDArray[np.uint8], box: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Returns landmarks (68, 2); refits, because paddings differ between crops."""
        luma = np.asarray(Image.fromarray(frame).convert("L"))
        centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 / CROP_PADDING
        face = np.concatenate([centre - half, centre + half])[None]
        landmarks = self._landmarks(luma, face)
        for _ in range(_NUM_REFITS):
            landmarks = self._landmarks(luma, face_boxes(landmarks))
        fitted: NDArray[np.float32] = landmarks[0]
        return fitted
