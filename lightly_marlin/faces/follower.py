"""Following one face from frame to frame, in either direction of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.boxes import box_inside, box_iou, box_side, face_boxes
from lightly_marlin.faces.chip import CHIP_FACE, CHIP_SIZE, FaceChip, face_roll
from lightly_marlin.faces.dlib_models import (
    Detection,
    DlibDetector,
    DlibLandmarks,
    DlibTracker,
)
from lightly_marlin.faces.luma import resize_plane

__all__ = ["FaceFollower", "FaceTools", "Sighting"]

# The detector looks at the chip of the expected face, resized so that the face is this
# large: its window is 80 pixels, and there is an octave of room above.
_CHECK_SIDE = 96.0

# A face that was seen before is expected, so a weaker answer of the detector is enough.
_CHECK_THRESHOLD = -0.3
_CHECK_MIN_IOU = 0.35

# Below this ratio of peak to side lobes the correlation tracker has lost its target.
_MIN_TRACKER_SCORE = 6.0
_MIN_INSIDE = 0.6
_MIN_SIDE = 16.0

# Landmarks of a face that moved by more than this share of its side, or turned by more
# than this angle, are fitted again.
_REFIT_SHIFT = 0.06
_REFIT_ROLL = 0.1


@dataclass(frozen=True)
class FaceTools:
    """What following needs, loaded once and shared by all faces."""

    detector: DlibDetector
    landmarks: DlibLandmarks


@dataclass(frozen=True)
class Sighting:
    """A face in one frame.

    Attributes:
        box: float64 array with shape (4,): the detector's box in plane pixels.
        landmarks: float32 array with shape (68, 2): x, y in plane pixels.
        score: Detection score, or None if no detector saw the face in this frame.
    """

    box: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    score: float | None

    @property
    def roll(self) -> float:
        """Angle of the face in radians."""
        return face_roll(self.landmarks)


class FaceFollower:
    """Follows a face by its own landmarks, checked by the detector every few frames.

    The landmarks of one frame say where to look for those of the next, at a third of
    the cost of a correlation tracker, but they drift when the face turns away or is
    covered. So when a check fails, a correlation tracker goes back to the last frame
    that passed and follows from there, until the detector sees the face again or the
    tracker gives up.

    Attributes:
        sightings: The face in each frame so far.
        num_detected: Number of them in which a detector saw the face.
        num_unseen: Number of frames since it last did.
    """

    def __init__(
        self,
        tools: FaceTools,
        plane: NDArray[np.uint8],
        detection: Detection,
        *,
        check_every: int,
        max_unseen: int,
    ) -> None:
        """Starts with a detected face.

        Args:
            tools: Detector and landmarks.
            plane: uint8 luma with shape (H, W) of the first frame.
            detection: The face, in plane pixels.
            check_every: The detector looks at every n-th frame of a face.
            max_unseen: Give up after so many frames without a detection.
        """
        self._tools = tools
        self._check_every = check_every
        self._max_unseen = max_unseen
        self._tracker: DlibTracker | None = None
        self._planes = [plane]
        self.sightings = [self._fit(plane, detection.box, 0.0, detection.score)]
        self.num_unseen = 0
        self.num_detected = 1

    @property
    def box(self) -> NDArray[np.float64]:
        """The face's box in the last frame, float64 (4,), in plane pixels."""
        return self.sightings[-1].box

    def step(self, plane: NDArray[np.uint8]) -> bool:
        """Follows the face into the next frame.

        Args:
            plane: uint8 luma with shape (H, W), as the first.

        Returns:
            False if the face is lost; the frame then has no sighting.
        """
        self.num_unseen += 1
        if self._tracker is not None:
            return self._step_tracker(self._tracker, plane)
        self._planes.append(plane)
        last = self.sightings[-1]
        sighting = self._fit(plane, last.box, last.roll)
        self.sightings.append(sighting)
        drifted = not self._plausible(sighting.box, plane)
        if not drifted and self.num_unseen < self._check_every:
            return True
        detection = None if drifted else self._check(plane, sighting.box, sighting.roll)
        if detection is not None:
            self.confirm(plane, detection)
            return True
        return self._fall_back()

    def confirm(self, plane: NDArray[np.uint8], detection: Detection) -> None:
        """Takes a detection of this face in the last frame.

        Args:
            plane: uint8 luma with shape (H, W) of the last frame.
            detection: The face, in plane pixels.
        """
        last = self.sightings[-1]
        if self._tracker is None and _iou(last.box, detection.box) > 0.6:
            # The landmarks sit well; the detector's box is coarser than theirs.
            self.sightings[-1] = Sighting(last.box, last.landmarks, detection.score)
        else:
            self.sightings[-1] = self._fit(
                plane, detection.box, last.roll, detection.score
            )
        self.num_detected += last.score is None
        self._tracker = None
        self._planes = [plane]
        self.num_unseen = 0

    def forget_last(self) -> None:
        """Takes back the last sighting."""
        self.num_detected -= self.sightings.pop().score is not None

    def _fit(
        self,
        plane: NDArray[np.uint8],
        box: NDArray[np.float64],
        roll: float,
        score: float | None = None,
    ) -> Sighting:
        """Fits landmarks in a box, twice if they say that the face is elsewhere."""
        landmarks = self._landmarks(FaceChip.cut(plane, box, roll))
        fitted, turned = face_boxes(landmarks[None])[0], face_roll(landmarks)
        moved = np.abs(fitted - box).max() > _REFIT_SHIFT * box_side(box)
        if moved or abs(turned - roll) > _REFIT_ROLL:
            landmarks = self._landmarks(FaceChip.cut(plane, fitted, turned))
            fitted = face_boxes(landmarks[None])[0]
        return Sighting(fitted, landmarks, score)

    def _landmarks(self, chip: FaceChip) -> NDArray[np.float32]:
        """Returns the landmarks (68, 2) of a chip's face in plane pixels."""
        edges = 0.5 * np.array([CHIP_SIZE - CHIP_FACE, CHIP_SIZE + CHIP_FACE])
        box = edges[[0, 0, 1, 1]]
        points = self._tools.landmarks(chip.image, box[None])[0]
        return (chip.points_to_plane(points + 0.5) - 0.5).astype(np.float32)

    def _plausible(self, box: NDArray[np.float64], plane: NDArray[np.uint8]) -> bool:
        """Returns whether a face in `box` can be seen in the plane at all."""
        height, width = plane.shape
        return box_side(box) > _MIN_SIDE and (
            box_inside(box, height, width) > _MIN_INSIDE
        )

    def _check(
        self, plane: NDArray[np.uint8], box: NDArray[np.float64], roll: float
    ) -> Detection | None:
        """Returns the detection near `box` that overlaps it most, if there is one."""
        chip = FaceChip.cut(plane, box, roll)
        factor = _CHECK_SIDE / CHIP_FACE
        image = resize_plane(chip.image, factor)
        best, best_iou = None, _CHECK_MIN_IOU
        for detection in self._tools.detector(image, _CHECK_THRESHOLD):
            found = chip.box_to_plane(detection.box / factor)
            overlap = _iou(found, box)
            if overlap > best_iou:
                best, best_iou = Detection(found, detection.score), overlap
        return best

    def _fall_back(self) -> bool:
        """Follows again from the last detection, with the correlation tracker."""
        first, *rest = self._planes
        del self.sightings[len(self.sightings) - len(rest) :]
        self._tracker = DlibTracker(first, self.box)
        self._planes = [first]
        self.num_unseen = 0
        # A detection on the way ends the tracker, and following by landmarks resumes.
        return all(self.step(plane) for plane in rest)

    def _step_tracker(self, tracker: DlibTracker, plane: NDArray[np.uint8]) -> bool:
        """Follows into one frame with the correlation tracker."""
        certainty = tracker.update(plane)
        box = tracker.box
        lost = certainty < _MIN_TRACKER_SCORE or not self._plausible(box, plane)
        if lost or self.num_unseen > self._max_unseen:
            return False
        roll = self.sightings[-1].roll
        landmarks = self._landmarks(FaceChip.cut(plane, box, roll))
        self.sightings.append(Sighting(box, landmarks, None))
        detection = self._check(plane, box, roll)
        if detection is not None:
            self.confirm(plane, detection)
        return True


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(box_iou(first[None], second[None])[0, 0])
