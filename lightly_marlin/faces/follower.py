"""Following one face from frame to frame, in either direction of time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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
from lightly_marlin.faces.dlib_networks import DlibCnnDetector, DlibEmbedder
from lightly_marlin.faces.landmark_fit import fit_spread
from lightly_marlin.faces.luma import resize_plane

__all__ = ["FaceFollower", "FaceTools", "Portrait", "Sighting"]

# The detector looks at the chip of the expected face, resized so that the face is this
# large: its window is 80 pixels, and there is room for a face that is nearer.
_CHECK_SIDE = 88.0

# A face that was seen before is expected, so a weaker answer of the detector is enough.
_CHECK_THRESHOLD = -0.3
_CHECK_MIN_IOU = 0.35

# A face that moved by this share of its side since the last look is looked at again.
_CHECK_SHIFT = 0.3

# A new face is looked at often, so that a false one soon has little to show.
_CERTAIN_AFTER = 4
_FIRST_CHECKS_EVERY = 3

# A face that the HOG detector does not see is shown to the CNN every so many frames.
_CNN_EVERY = 12

# Below this ratio of peak to side lobes the correlation tracker has lost its target.
_MIN_TRACKER_SCORE = 6.0
_MIN_INSIDE = 0.6
_MIN_SIDE = 16.0

# Landmarks of a face that moved by more than this share of its side, or turned by more
# than this angle, are fitted again.
_REFIT_SHIFT = 0.06
_REFIT_ROLL = 0.1

# A new face is fitted at these tilts, too, if its landmarks do not sit well upright.
_ROLLS = (0.6, -0.6, 1.1, -1.1)
_GOOD_SPREAD = 0.015

# Every so many looks of the detector, the landmarks are fitted from other starts, too.
_SPREAD_EVERY = 3

# A portrait is taken every so many frames at first, ever more rarely in long tracks.
_PORTRAIT_EVERY = 24
_PORTRAIT_RATE = 16


@dataclass(frozen=True)
class FaceTools:
    """What following needs, loaded once and shared by all faces.

    Attributes:
        detector: The HOG detector, which looks at each face every few frames.
        landmarks: Fits the 68 landmarks.
        embedder: Takes the portraits by which people are told apart.
        cnn: Looks at faces that the HOG detector does not see; None does without.
        cnn_only: The CNN looks in the place of the HOG detector.
    """

    detector: DlibDetector
    landmarks: DlibLandmarks
    embedder: DlibEmbedder = field(default_factory=DlibEmbedder)
    cnn: DlibCnnDetector | None = None
    cnn_only: bool = False


@dataclass(frozen=True)
class Sighting:
    """A face in one frame.

    Attributes:
        box: float64 array with shape (4,): the detector's box in plane pixels.
        landmarks: float32 array with shape (68, 2): x, y in plane pixels.
        score: Detection score, or None if no detector saw the face in this frame.
        spread: How far fits of the landmarks from other starts differ, as a share of
            the face's side; None where it was not measured.
    """

    box: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    score: float | None
    spread: float | None = None

    @property
    def roll(self) -> float:
        """Angle of the face in radians."""
        return face_roll(self.landmarks)


@dataclass(frozen=True)
class Portrait:
    """A face that was clearly seen.

    Attributes:
        index: Frames since the first one of the follower.
        image: uint8 luma with shape (150, 150), upright.
    """

    index: int
    image: NDArray[np.uint8]


class FaceFollower:
    """Follows a face by its own landmarks, checked by the detector every few frames.

    The landmarks of one frame say where to look for those of the next, at a third of
    the cost of a correlation tracker, but they drift when the face turns away or is
    covered. So when a check fails, a correlation tracker goes back to the last frame
    that passed and follows from there, until the detector sees the face again or the
    tracker gives up.

    Attributes:
        sightings: The face in each frame so far.
        portraits: Pictures of the face, oldest first.
        touches: Indices of the sightings in which another face was near.
        num_detected: Number of sightings in which a detector saw the face.
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
            check_every: The detector looks at least at every n-th frame of a face.
            max_unseen: Give up after so many frames without a detection.
        """
        self._tools = tools
        self._check_every = check_every
        self._max_unseen = max_unseen
        self._tracker: DlibTracker | None = None
        self._planes = [plane]
        self._checked_box = detection.box
        self.portraits: list[Portrait] = []
        self.touches: list[int] = []
        self.sightings = [self._first(plane, detection)]
        self._num_checks = 0
        self._examine(plane)
        self.num_unseen = 0
        self.num_detected = 1

    @property
    def box(self) -> NDArray[np.float64]:
        """The face's box in the last frame, float64 (4,), in plane pixels."""
        return self.sightings[-1].box

    @property
    def is_certain(self) -> bool:
        """Whether the landmarks themselves were followed to the last frame."""
        return self._tracker is None

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
        if self._tracker is None and _iou(last.box, detection.box) > 0.6:
            # The landmarks sit well; the detector's box is coarser than theirs.
            self.sightings[-1] = replace(last, score=detection.score)
        else:
            self.sightings[-1] = self._fit(
                plane, detection.box, last.roll, detection.score
            )
        self.num_detected += last.score is None
        self._tracker = None
        self._planes = [plane]
        self._checked_box = self.box
        self.num_unseen = 0
        self._num_checks += 1
        if self._num_checks % _SPREAD_EVERY == 0 or self._is_portrait_due():
            self._examine(plane)

    def forget_last(self) -> None:
        """Takes back the last sighting."""
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
        """Notes that another face is near in the last frame."""
        self.touches.append(len(self.sightings) - 1)

    def _is_check_due(self, box: NDArray[np.float64]) -> bool:
        """Returns whether the detector is to look: after a time, or a movement."""
        shift = np.abs(box - self._checked_box).max() / box_side(box)
        patience = self._check_every
        if self.num_detected < _CERTAIN_AFTER:
            patience = min(patience, _FIRST_CHECKS_EVERY)
        return self.num_unseen >= patience or bool(shift > _CHECK_SHIFT)

    def _is_portrait_due(self) -> bool:
        if not self.portraits:
            return True
        index, last = len(self.sightings) - 1, self.portraits[-1].index
        if self.touches and last <= self.touches[-1] < index:
            return True
        return index - last >= max(_PORTRAIT_EVERY, index // _PORTRAIT_RATE)

    def _first(self, plane: NDArray[np.uint8], detection: Detection) -> Sighting:
        """Fits landmarks to a face of unknown tilt: the best of several fits."""
        best = self._measured(
            plane, self._fit(plane, detection.box, 0.0, detection.score)
        )
        for roll in _ROLLS:
            if (best.spread or 0.0) < _GOOD_SPREAD:
                break
            other = self._measured(
                plane, self._fit(plane, detection.box, roll, detection.score)
            )
            best = min(best, other, key=lambda one: one.spread or 0.0)
        return best

    def _measured(self, plane: NDArray[np.uint8], sighting: Sighting) -> Sighting:
        """Returns a sighting with its spread."""
        chip = FaceChip.cut(plane, sighting.box, sighting.roll)
        landmarks = chip.points_to_chip(sighting.landmarks + 0.5) - 0.5
        spread = fit_spread(self._tools.landmarks, chip.image, landmarks)
        return replace(sighting, spread=spread)

    def _examine(self, plane: NDArray[np.uint8]) -> None:
        """Measures how well the landmarks sit, and takes a portrait if one is due."""
        last = self.sightings[-1]
        if last.spread is None:
            self.sightings[-1] = last = self._measured(plane, last)
        if self._is_portrait_due():
            chip = FaceChip.cut(plane, last.box, last.roll)
            landmarks = chip.points_to_chip(last.landmarks + 0.5) - 0.5
            image = self._tools.embedder.portrait(chip.image, landmarks)
            self.portraits.append(Portrait(len(self.sightings) - 1, image))

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
        found: list[Detection] = []
        if not self._tools.cnn_only:
            found = self._tools.detector(image, _CHECK_THRESHOLD)
        replaced = self._tools.cnn_only and self._tracker is None
        hidden = replaced or self.num_unseen % _CNN_EVERY == 0
        if not found and hidden and self._tools.cnn is not None:
            found = self._tools.cnn(image)
        best, best_iou = None, _CHECK_MIN_IOU
        for detection in found:
            candidate = chip.box_to_plane(detection.box / factor)
            overlap = _iou(candidate, box)
            if overlap > best_iou:
                best, best_iou = Detection(candidate, detection.score), overlap
        return best

    def _fall_back(self) -> bool:
        """Follows again from the last detection, with the correlation tracker."""
        first, *rest = self._planes
        for _ in rest:
            self.forget_last()
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
