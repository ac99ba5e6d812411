"""Faces: detection, tracking, cropping and parsing of their regions.

Video frames go in; face tracks with crop boxes, landmarks and region maps come out.
"""

from lightly_marlin.faces.crop import crop_face, landmarks_to_crop
from lightly_marlin.faces.detection.detector import (
    Detection,
    FaceDetector,
    LandmarkPredictor,
)
from lightly_marlin.faces.detection.detector_registry import (
    register_detector,
    unregister_detector,
)
from lightly_marlin.faces.detection.dlib_models import (
    DlibDetector,
    DlibLandmarks,
    DlibTracker,
)
from lightly_marlin.faces.detection.dlib_networks import DlibCnnDetector, DlibEmbedder
from lightly_marlin.faces.model_weights import ModelWeights
from lightly_marlin.faces.parsing.label_remap import (
    CELEBAMASK_HQ,
    CELEBAMASK_HQ_DATASET,
    mirrored,
)
from lightly_marlin.faces.parsing.landmark_regions import regions_from_landmarks
from lightly_marlin.faces.parsing.parser import FaceParser, LandmarkParser
from lightly_marlin.faces.parsing.torchscript_parser import TorchScriptParser
from lightly_marlin.faces.tracking.finder import DETECTORS, FaceFinder, find_faces
from lightly_marlin.faces.tracking.track import FaceTrack, main_track
from lightly_marlin.regions import RegionCells

__all__ = [
    "CELEBAMASK_HQ",
    "CELEBAMASK_HQ_DATASET",
    "DETECTORS",
    "Detection",
    "DlibCnnDetector",
    "DlibDetector",
    "DlibEmbedder",
    "DlibLandmarks",
    "DlibTracker",
    "FaceDetector",
    "FaceFinder",
    "FaceParser",
    "FaceTrack",
    "LandmarkParser",
    "LandmarkPredictor",
    "ModelWeights",
    "RegionCells",
    "TorchScriptParser",
    "crop_face",
    "find_faces",
    "landmarks_to_crop",
    "main_track",
    "mirrored",
    "regions_from_landmarks",
    "register_detector",
    "unregister_detector",
]
