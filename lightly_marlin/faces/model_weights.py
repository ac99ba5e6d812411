"""Weight files of the models that make a store, and what their licences allow.

- [0]: https://github.com/davisking/dlib-models (README and LICENSE)
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CNN_WEIGHTS",
    "EMBEDDING_WEIGHTS",
    "HOG_WEIGHTS",
    "LANDMARK_WEIGHTS",
    "ModelWeights",
]


@dataclass(frozen=True)
class ModelWeights:
    """Weight file of a model.

    Attributes:
        name: Name of the file or of the model.
        licence: Licence in a few words, an SPDX identifier where there is one.
        commercial: Whether the licence allows commercial use; None if it is not stated.
    """

    name: str
    licence: str = "not stated"
    commercial: bool | None = None


HOG_WEIGHTS = ModelWeights("dlib frontal face detector", "BSL-1.0", True)
CNN_WEIGHTS = ModelWeights("mmod_human_face_detector.dat", "CC0-1.0", True)
EMBEDDING_WEIGHTS = ModelWeights(
    "dlib_face_recognition_resnet_model_v1.dat", "CC0-1.0", True
)
LANDMARK_WEIGHTS = ModelWeights(
    "shape_predictor_68_face_landmarks.dat",
    "trained on iBUG 300-W, whose licence excludes commercial use",
    False,
)
