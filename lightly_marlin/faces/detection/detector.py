"""Face detectors: images in, boxes with scores out."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.model_weights import ModelWeights

__all__ = ["Detection", "FaceDetector", "LandmarkPredictor"]


class Detection(NamedTuple):
    """A face in one image: box (4,) float64 x0, y0, x1, y1 in pixels, and its score."""

    box: NDArray[np.float64]
    score: float


class LandmarkPredictor(Protocol):
    """Fits 68 landmarks in the order of iBUG 300-W to the faces in boxes.

    Attributes:
        weights: Its weight files; empty says that nothing is known of their licences.
    """

    weights: tuple[ModelWeights, ...] = ()

    def __call__(
        self, image: NDArray[np.uint8], boxes: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Fits landmarks.

        Args:
            image: uint8 luma with shape (H, W).
            boxes:
                Array with shape (n, 4): x0, y0, x1, y1 in pixels, squares around the
                faces as `face_boxes` draws them; may reach outside the image.

        Returns:
            float32 array with shape (n, 68, 2): x, y in pixels.
        """


@runtime_checkable
class FaceDetector(Protocol):
    """Finds the faces in images.

    Inherit from it, and what you leave out has its default. One instance serves all
    videos of a process. It runs on whatever device it likes; arrays come and go on the
    CPU. Boxes should be squares from the brows to the chin, as dlib's are: landmarks
    are fitted within them.

    Attributes:
        smallest_face: Side in pixels of the smallest face that it finds. Images are
            enlarged until the smallest face that is wanted has this side.
        color: It takes RGB and not luma. Checks of a face that is followed, and videos
            of which only luma is at hand, repeat the luma three times.
        max_pixels: Largest number of pixels that it is worth the time to search. A face
            that was lost is then looked for in every twelfth frame only. None for a
            detector that is fast.
        landmarks: Predictor that suits its boxes; None for dlib's.
        weights: Its weight files; empty says that nothing is known of their licences.
        fingerprint: Where it changes, the answers may, and videos are done again.
    """

    smallest_face: float = 80.0
    color: bool = False
    max_pixels: int | None = None
    landmarks: LandmarkPredictor | None = None
    weights: tuple[ModelWeights, ...] = ()
    fingerprint: str = ""

    def detect(
        self, images: NDArray[np.uint8], *, expected: bool = False
    ) -> list[list[Detection]]:
        """Finds faces in a batch of images.

        Args:
            images: uint8 luma with shape (n, H, W), or RGB (n, H, W, 3) with `color`.
            expected: Each image shows a place where a face was a moment ago: a weaker
                answer than in a whole frame is enough.

        Returns:
            The faces of each image, the best score first; boxes may reach outside.
        """
