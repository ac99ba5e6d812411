"""Follower that tracks one face from frame to frame, in either direction of time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.boxes import box_inside, box_iou, box_side
from lightly_marlin.faces.detection.detector import (
    Detection,
    FaceDetector,
    LandmarkPredictor,
)
from lightly_marlin.faces.detection.dlib_models import DlibTracker
from lightly_marlin.faces.detection.dlib_networks import DlibEmbedder
from lightly_marlin.faces.detection.face_search import look_at_chip
from lightly_marlin.faces.detection.sighting import Portrait, Sighting
from lightly_marlin.faces.landmarks.chip import CHIP_FACE, FaceChip
from lightly_marlin.faces.landmarks.face_fitter import FaceFitter
from lightly_marlin.faces.luma import resize_plane

__all__ = ["FaceFollower", "FaceTools"]

# The detector runs on the chip of the expected face, resized to make the face this much
# larger than the smallest that it finds: it may move away from the camera.
_CHECK_ROOM = 1.1

_CHECK_MIN_IOU = 0.35

# A face that moved by this share of its side since the last check is checked again.
_CHECK_SHIFT = 0.3

# A new face is checked often, to expose a false detection early.
_CERTAIN_AFTER = 4
_FIRST_CHECKS_EVERY = 3

# A face that moves less than this share of its side in two frames is calm.
_CALM_STEP = 0.05

# A face that the fast detector does not see is shown to a slow one now and then.
_SLOW_EVERY = 12

# Below this ratio of peak to side lobes the correlation tracker has lost its target.
_MIN_TRACKER_SCORE = 6.0
_MIN_INSIDE = 0.6
_MIN_SIDE = 16.0

# Landmarks that are away from the detection, or fitted poorly at the last check, are
# also fitted to the detection, and the better fit is kept. The detector's steps are a
# tenth of a face in place, a fifth in size.
_AGREEING_SHIFT = 0.15
_AGREEING_SCALE = 1.35
_DOUBTFUL_SPREAD = 0.02

# Detector checks between fits of the landmarks from other starts.
_SPREAD_EVERY = 3

# Frames between the first portraits, which become rarer in long tracks.
_PORTRAIT_EVERY = 24
_PORTRAIT_RATE = 16


@dataclass(frozen=True)
class FaceTools:
    """Models for tracking faces, loaded once and shared by all faces.

    Attributes:
        detector: Searches frames, and checks each face every few frames.
        landmarks: Fits the 68 landmarks.
        embedder: Takes the portraits by which people are identified.
        second: Looks at faces that the detector does not see; None does without.
    """

    detector: FaceDetector
    landmarks: LandmarkPredictor
    embedder: DlibEmbedder = field(default_factory=DlibEmbedder)
    second: FaceDetector | None = None


class FaceFollower:
    """Tracks a face by its own landmarks, checked by the detector every few frames.

    The landmarks of one frame predict the position of those in the next, at a third of
    the cost of a correlation tracker, but they drift when the face turns away or is
    covered. When a check fails, a correlation tracker therefore restarts at the last
    frame that passed and tracks from there, until the detector finds the face again or
    the tracker gives up. While the face is calm, every second frame is interpolated.

    Attributes:
        sightings: The face in each frame so far.
        portraits: Pictures of the face, oldest first.
        touches: Indices of the sightings with another face nearby.
        num_detected: Number of sightings in which a detector saw the face.
        num_unseen: Number of frames since a detector last saw it.
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
            tools: Detector and landmark models.
            plane: uint8 luma with shape (H, W) of the first frame.
            detection: The face, in plane pixels.
            check_every: Maximum number of frames between detector checks of a face.
            max_unseen: Number of frames without a detection after which to give up.
        """
        self._tools = tools
        self._fitter = FaceFitter(tools.landmarks)
        self._check_every = check_every
        self._max_unseen = max_unseen
        self._tracker: DlibTracker | None = None
        self._planes = [plane]
        self._checked_box = detection.box
        self.portraits: list[Portrait] = []
        self.touches: list[int] = []
        self.sightings = [self._fitter.fit_tilted(plane, detection)]
        self._num_checks = 0
        self._last_spread = 0.0
        self._is_resting = False
        self._examine(plane)
        self.num_unseen = 0
        self.num_detected = 1

    @property
    def box(self) -> NDArray[np.float64]:
        """The face's box in the last frame, float64 (4,), in plane pixels."""
        return self.sightings[-1].box

    @property
    def is_certain(self) -> bool:
        """True if the landmarks themselves were tracked to the last frame."""
        return self._tracker is None

    def step(self, plane: NDArray[np.uint8]) -> bool:
        """Tracks the face into the next frame.

        Args:
            plane: uint8 luma with shape (H, W), the shape of the first frame.

        Returns:
            False if the face is lost; the frame then has no sighting.
        """
        self.num_unseen += 1
        if self._tracker is not None:
            return self._step_tracker(self._tracker, plane)
        self._planes.append(plane)
        last = self.sightings[-1]
        if self._may_rest():
            self._is_resting = True
            self.sightings.append(replace(last, score=None, spread=None))
            return True
        sighting = self._fitter.fit(plane, last.box, last.roll)
        self.sightings.append(sighting)
        self._end_rest()
        drifted = not self._plausible(sighting.box, plane)
        if not drifted and not self._is_check_due(sighting.box):
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
        agrees = _agree(last.box, detection.box)
        if self._tracker is None and agrees and not self._is_doubtful:
            # The landmarks fit well; the detector's box is coarser than theirs.
            self.sightings[-1] = replace(last, score=detection.score)
        else:
            self._fit_again(plane, detection)
        self.num_detected += last.score is None
        self._tracker = None
        self._planes = [plane]
        self._checked_box = self.box
        self.num_unseen = 0
        self._num_checks += 1
        if self._num_checks % _SPREAD_EVERY == 0 or self._is_portrait_due():
            self._examine(plane)

    def forget_last(self) -> None:
        """Removes the last sighting."""
        self._is_resting = False
        self.num_detected -= self.sightings.pop().score is not None
        count = len(self.sightings)
        self.portraits = [one for one in self.portraits if one.index < count]
        self.touches = [index for index in self.touches if index < count]

    def portraits_from(self, offset: int, count: int) -> list[Portrait]:
        """Returns the portraits of the first `count` sightings, moved by `offset`."""
        return [
            Portrait(one.index + offset, one.image)
            for one in self.portraits
            if one.index < count
        ]

    def touch(self) -> None:
        """Records that another face is nearby in the last frame."""
        self.touches.append(len(self.sightings) - 1)

    @property
    def _is_doubtful(self) -> bool:
        """True if the landmarks fitted poorly when they were last measured."""
        return self._last_spread > _DOUBTFUL_SPREAD

    def _fit_again(self, plane: NDArray[np.uint8], detection: Detection) -> None:
        """Refits the landmarks since the previous detection, given a new one."""
        roll = self.sightings[-1].roll
        fitted = self._fitter.fit(plane, detection.box, roll, detection.score)
        if self._tracker is not None:
            self.sightings[-1] = fitted
            return
        self.sightings[-1] = self._fitter.better(
            plane, replace(self.sightings[-1], score=detection.score), fitted
        )
        self._last_spread = self.sightings[-1].spread or 0.0
        # Since then, the face may have been lost without being noticed.
        count = len(self._planes) - 1
        first, last = self.sightings[-1 - count].box, self.box
        for step in range(1, count):
            index = step - 1 - count
            share = step / count
            between = (1 - share) * first + share * last
            sighting, plane = self.sightings[index], self._planes[step]
            fitted = self._fitter.fit(plane, between, sighting.roll)
            self.sightings[index] = self._fitter.better(plane, sighting, fitted)

    def _may_rest(self) -> bool:
        """Returns whether the face is so calm that only every second frame needs a fit.

        Twelve fits per second follow lips and lids; the frames between are
        interpolated.
        """
        known = self.num_detected >= _CERTAIN_AFTER and not self._is_doubtful
        if self._is_resting or not known or len(self.sightings) < 3:
            return False
        step = np.abs(self.sightings[-1].box - self.sightings[-3].box).max()
        calm = bool(step < _CALM_STEP * box_side(self.box))
        return calm and self.num_unseen < self._check_every

    def _end_rest(self) -> None:
        """Interpolates the frame that was not fitted, if there is one."""
        if self._is_resting:
            before, after = self.sightings[-3], self.sightings[-1]
            self.sightings[-2] = Sighting(
                (before.box + after.box) / 2,
                np.float32(0.5) * (before.landmarks + after.landmarks),
                None,
            )
        self._is_resting = False

    def _is_check_due(self, box: NDArray[np.float64]) -> bool:
        """Returns whether a detector check is due, after some time or a movement."""
        shift = np.abs(box - self._checked_box).max() / box_side(box)
        patience = self._check_every
        if self.num_detected < _CERTAIN_AFTER or self._is_doubtful:
            patience = min(patience, _FIRST_CHECKS_EVERY)
        return self.num_unseen >= patience or bool(shift > _CHECK_SHIFT)

    def _is_portrait_due(self) -> bool:
        if not self.portraits:
            return True
        index, last = len(self.sightings) - 1, self.portraits[-1].index
        if self.touches and last <= self.touches[-1] < index:
            return True
        return index - last >= max(_PORTRAIT_EVERY, index // _PORTRAIT_RATE)

    def _examine(self, plane: NDArray[np.uint8]) -> None:
        """Measures the fit of the landmarks; stores a portrait if one is due."""
        last = self.sightings[-1]
        if last.spread is None:
            self.sightings[-1] = last = self._fitter.measured(plane, last)
        self._last_spread = last.spread or 0.0
        if self._is_portrait_due():
            chip = FaceChip.cut(plane, last.box, last.roll)
            landmarks = chip.points_to_chip(last.landmarks + 0.5) - 0.5
            image = self._tools.embedder.portrait(chip.image, landmarks)
            self.portraits.append(Portrait(len(self.sightings) - 1, image))

    def _plausible(self, box: NDArray[np.float64], plane: NDArray[np.uint8]) -> bool:
        """Returns whether a face in `box` can be visible in the plane at all."""
        height, width = plane.shape
        return box_side(box) > _MIN_SIDE and (
            box_inside(box, height, width) > _MIN_INSIDE
        )

    def _check(
        self, plane: NDArray[np.uint8], box: NDArray[np.float64], roll: float
    ) -> Detection | None:
        """Returns the detection near `box` that overlaps it most, if there is one."""
        chip = FaceChip.cut(plane, box, roll)
        detector, second = self._tools.detector, self._tools.second
        found: list[Detection] = []
        slow_is_due = self.num_unseen % _SLOW_EVERY == 0
        if detector.max_pixels is None or self._tracker is None or slow_is_due:
            found = _look(detector, chip)
        if not found and second is not None and slow_is_due:
            found = _look(second, chip)
        best, best_iou = None, _CHECK_MIN_IOU
        for detection in found:
            overlap = _iou(detection.box, box)
            if overlap > best_iou:
                best, best_iou = detection, overlap
        return best

    def _fall_back(self) -> bool:
        """Tracks again from the last detection, with the correlation tracker."""
        first, *rest = self._planes
        for _ in rest:
            self.forget_last()
        self._tracker = DlibTracker(first, self.box)
        self._planes = [first]
        self.num_unseen = 0
        # A detection on the way ends the tracker, and tracking by landmarks resumes.
        return all(self.step(plane) for plane in rest)

    def _step_tracker(self, tracker: DlibTracker, plane: NDArray[np.uint8]) -> bool:
        """Tracks into one frame with the correlation tracker."""
        certainty = tracker.update(plane)
        box = tracker.box
        lost = certainty < _MIN_TRACKER_SCORE or not self._plausible(box, plane)
        if lost or self.num_unseen > self._max_unseen:
            return False
        roll = self.sightings[-1].roll
        landmarks = self._fitter.landmarks(FaceChip.cut(plane, box, roll))
        self.sightings.append(Sighting(box, landmarks, None))
        detection = self._check(plane, box, roll)
        if detection is not None:
            self.confirm(plane, detection)
        return True


def _look(detector: FaceDetector, chip: FaceChip) -> list[Detection]:
    """Returns the detections in a chip, in plane pixels."""
    factor = _CHECK_ROOM * detector.smallest_face / CHIP_FACE
    return [
        Detection(chip.box_to_plane(face.box / factor), face.score)
        for face in look_at_chip(detector, resize_plane(chip.image, factor))
    ]


def _agree(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Returns whether two boxes (4,) are equal up to the detector's steps."""
    side, other = box_side(first), box_side(second)
    shift = np.abs(first[:2] + first[2:] - second[:2] - second[2:]).max() / 2
    scale = max(side, other) / max(min(side, other), 1e-6)
    return bool(shift < _AGREEING_SHIFT * side) and scale < _AGREEING_SCALE


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(box_iou(first[None], second[None])[0, 0])
