"""dlib's two neural networks: a detector for hard faces, and a face's identity.

Both take up to a second on a CPU core, so they are run on only a few pictures. They
were trained on colour, and work as well with luma in all three channels.

- [0]: Max-Margin Object Detection, 2015, https://arxiv.org/abs/1502.00046
- [1]: http://blog.dlib.net/2017/02/high-quality-face-recognition-with-deep.html
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.detection.detector import Detection, FaceDetector
from lightly_marlin.faces.detection.dlib_models import check_plane, model_file
from lightly_marlin.faces.model_weights import CNN_WEIGHTS, EMBEDDING_WEIGHTS
from lightly_marlin.utils.dependency import require

__all__ = ["PORTRAIT_SIZE", "DlibCnnDetector", "DlibEmbedder"]

PORTRAIT_SIZE = 150
"""Side in pixels of the aligned face that the embedding network takes."""

# Real faces score about 1, and a face in the dark 0.2.
_MIN_CONFIDENCE = 0.5


@functools.cache
def _cnn_detector() -> Any:
    dlib = require("dlib", purpose="Finding faces")
    return dlib.cnn_face_detection_model_v1(
        str(model_file("mmod_human_face_detector.dat"))
    )


@functools.cache
def _embedding_network() -> Any:
    dlib = require("dlib", purpose="Telling people apart")
    return dlib.face_recognition_model_v1(
        str(model_file("dlib_face_recognition_resnet_model_v1.dat"))
    )


class DlibCnnDetector(FaceDetector):
    """dlib's CNN face detector [0]: finds turned, tilted and covered faces, slowly.

    The network is loaded when it is first used.
    """

    smallest_face = 80.0
    # About two seconds of one core.
    max_pixels = 250_000
    weights = (CNN_WEIGHTS,)

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Finds faces.

        Args:
            image: uint8 luma with shape (H, W). Enlarge it to find faces below 80
                pixels; every 100,000 pixels take about 0.8 seconds.

        Returns:
            The faces, sorted by decreasing score; boxes may reach outside the image.
        """
        check_plane(image)
        if min(image.shape) < self.smallest_face / 2:
            return []
        colour = np.repeat(image[..., None], 3, axis=-1)
        return [
            Detection(
                np.array(
                    [
                        face.rect.left(),
                        face.rect.top(),
                        face.rect.right() + 1,
                        face.rect.bottom() + 1,
                    ],
                    dtype=np.float64,
                ),
                float(face.confidence),
            )
            for face in _cnn_detector()(colour, 0)
            if face.confidence >= _MIN_CONFIDENCE
        ]

    def detect(
        self, images: NDArray[np.uint8], *, expected: bool = False
    ) -> list[list[Detection]]:
        """Finds faces in luma with shape (n, H, W); see `FaceDetector`."""
        del expected
        return [self(image) for image in images]


class DlibEmbedder:
    """dlib's face embedding [1]: close for one person, far apart for two.

    The network is loaded when it is first used.
    """

    weights = (EMBEDDING_WEIGHTS,)

    def portrait(
        self, image: NDArray[np.uint8], landmarks: NDArray[np.floating]
    ) -> NDArray[np.uint8]:
        """Crops a face in the form that the network takes: upright, with a fixed size.

        Args:
            image: uint8 luma with shape (H, W).
            landmarks: Array with shape (68, 2): x, y in pixels.

        Returns:
            uint8 luma with shape (150, 150).
        """
        check_plane(image)
        dlib = require("dlib", purpose="Telling people apart")
        corners = np.rint([landmarks.min(axis=0), landmarks.max(axis=0)]).astype(int)
        (left, top), (right, bottom) = corners.tolist()
        points = [dlib.point(x, y) for x, y in np.rint(landmarks).astype(int).tolist()]
        face = dlib.full_object_detection(
            dlib.rectangle(left, top, right, bottom), points
        )
        chip = dlib.get_face_chip(np.ascontiguousarray(image), face, PORTRAIT_SIZE)
        return np.asarray(chip, dtype=np.uint8)

    def __call__(self, portrait: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Embeds a face.

        Args:
            portrait: uint8 luma with shape (150, 150), as `portrait` returns it.

        Returns:
            float64 array with shape (128,), of about unit length. Two pictures of one
            person are usually closer than 0.6.
        """
        colour = np.repeat(portrait[..., None], 3, axis=-1)
        return np.array(_embedding_network().compute_face_descriptor(colour))
