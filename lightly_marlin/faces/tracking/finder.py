"""Face tracks of a video that is fed frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.boxes import box_overlap, box_side, match_boxes
from lightly_marlin.faces.detection.cnn_schedule import CnnSchedule
from lightly_marlin.faces.detection.detector import Detection, FaceDetector
from lightly_marlin.faces.detection.detector_registry import (
    detector_names,
    is_detector_name,
    load_detectors,
)
from lightly_marlin.faces.detection.dlib_models import DlibLandmarks
from lightly_marlin.faces.detection.dlib_networks import DlibEmbedder
from lightly_marlin.faces.detection.face_search import search_frame
from lightly_marlin.faces.detection.search_schedule import SearchSchedule
from lightly_marlin.faces.luma import luma_plane
from lightly_marlin.faces.tracking.follower import FaceFollower, FaceTools
from lightly_marlin.faces.tracking.live_face import LiveFace
from lightly_marlin.faces.tracking.scene_cuts import SceneCuts
from lightly_marlin.faces.tracking.track import FaceTrack
from lightly_marlin.faces.tracking.track_assembly import TrackAssembly
from lightly_marlin.faces.tracking.trajectory import Trajectory

__all__ = ["DETECTORS", "FaceFinder", "find_faces"]

DETECTORS = detector_names()
"""Names of the detectors that are built in."""

# Planes are kept up to this longest side, and enlarged up to it to find small faces.
_LONGEST_SIDE = 1440

_MATCH_IOU = 0.35
_SAME_FACE_OVERLAP = 0.6

# From this overlap on, two faces may be confused.
_TOUCH_OVERLAP = 0.1

# A face with half the area of the largest is hardly the main one.
_MAIN_SHARE = 0.7
_CERTAIN_DETECTIONS = 3


class FaceFinder:
    """Finds and tracks every face of a video that is fed frame by frame.

    Whole frames are searched as often as the picture changes. A new face is tracked
    from there, forwards as frames arrive and backwards through the stored planes, so no
    frame is lost between two searches. Apart from those planes, only landmarks and a
    few small portraits are stored: memory does not grow with the pixels of a video.

    Example:
        >>> finder = FaceFinder()
        >>> for frame in frames:
        ...     finder.update(frame)
        >>> tracks = finder.finish()
    """

    def __init__(
        self,
        *,
        detector: str | FaceDetector = "auto",
        min_frames: int = 16,
        min_face: int = 40,
        main_only: bool = False,
        align_eyes: bool = False,
        detect_every: int = 12,
        check_every: int = 8,
        look_back: int = 36,
        max_unseen: int = 45,
        max_gap: int = 12,
    ) -> None:
        """Loads the detector and the landmarks.

        Args:
            detector:
                "hog" is dlib's fast frontal detector; "cnn" also finds turned and
                covered faces, a hundred times slower; "auto" runs the CNN only on faces
                that the HOG detector has lost, and a few times in stretches without a
                face. Also a name registered with `register_detector`, an entry point
                "package.module:factory", or a detector object.
            min_frames: Shorter tracks are left out.
            min_face:
                Approximate smallest side, in source pixels, of a face to search for,
                measured as the detector's box. To find it, frames are enlarged up to
                1440 pixels, so in large frames the limit is an eighteenth of the
                longest side.
            main_only:
                Do not search for faces with less than half the area of one that is
                being tracked: they are hardly the main one, and large ones are found
                faster.
            align_eyes: Rotate the crops so that the eyes are level.
            detect_every: Frames between searches of a changing picture.
            check_every: Frames between detection passes on a known face.
            look_back:
                Number of frames stored to track a new face backwards; also the frames
                between searches of an unchanging picture, twice as many with
                `main_only`.
            max_unseen: Maximum number of frames to track a face without a detection.
            max_gap: Longest gap in a track, in frames, that is filled.

        Raises:
            ValueError:
                If the detector is unknown or cannot be loaded, or an option is below
                its minimum (1, or 0 for the last three).
        """
        options = {
            "min_frames": (min_frames, 1),
            "min_face": (min_face, 1),
            "detect_every": (detect_every, 1),
            "check_every": (check_every, 1),
            "look_back": (look_back, 0),
            "max_unseen": (max_unseen, 0),
            "max_gap": (max_gap, 0),
        }
        _check_options(detector, options)
        self._tools = _load_tools(detector)
        self._assembly = TrackAssembly(
            self._tools.embedder,
            self._tools.second or self._tools.detector,
            min_frames=min_frames,
            max_gap=max_gap,
            check_every=check_every,
            align_eyes=align_eyes,
        )
        self._min_face = min_face
        self._main_only = main_only
        self._check_every = check_every
        self._max_unseen = max_unseen
        self._cuts = SceneCuts()
        # If only one face is kept, finding a second one late is no loss.
        calm_gap = 2 * look_back if main_only else look_back
        self._schedule = SearchSchedule(detect_every, calm_gap)
        self._slow_schedule = CnnSchedule()
        self._planes: deque[NDArray[np.uint8]] = deque(maxlen=look_back)
        self._live: list[LiveFace] = []
        self._closed: list[Trajectory] = []
        self._frame_size = (0, 0)
        self._scale = 1.0
        self._scene = 0
        self._frames_seen = 0
        self._longest = self._longest_untrusted = 0

    @property
    def frames_seen(self) -> int:
        """Number of frames fed so far."""
        return self._frames_seen

    @property
    def longest(self) -> int:
        """Longest run of frames with one face, also if too short for a track.

        0 if there was no face at all, and before `finish`.
        """
        return self._longest

    @property
    def longest_untrusted(self) -> int:
        """Longest run of frames with a face whose landmarks were not trusted.

        Such a face gives no track. 0 if there was none, and before `finish`.
        """
        return self._longest_untrusted

    def update(self, frame: NDArray[np.uint8]) -> None:
        """Takes the next frame.

        Args:
            frame:
                uint8 array: RGB with shape (H, W, 3), or its luma with shape (H, W);
                only luma is used. A change of size starts a scene.

        Raises:
            ValueError: If the frame is not such an array.
        """
        plane, scale = luma_plane(frame, _LONGEST_SIDE)
        cut = self._cuts.update(plane)
        if cut or frame.shape[:2] != self._frame_size:
            self._start_scene(frame, scale)
        self._follow(plane)
        self._search(plane, frame)
        self._planes.append(plane)
        self._frames_seen += 1

    def finish(self) -> list[FaceTrack]:
        """Ends the video.

        Returns:
            The tracks of at least `min_frames` frames, sorted by start, then by size,
            large faces first. `frames_seen`, `longest` and `longest_untrusted` explain
            why there is none.
        """
        self._close(self._live)
        found = self._assembly.faces(self._closed)
        self._longest, self._longest_untrusted = (
            max((face.num_frames for face in faces), default=0)
            for faces in (found.trusted, found.untrusted)
        )
        return self._assembly.tracks(found.trusted)

    def _start_scene(self, frame: NDArray[np.uint8], scale: float) -> None:
        """Discards the planes and ends the faces of the previous scene."""
        self._close(self._live)
        self._planes.clear()
        self._scene += 1
        self._schedule.restart()
        self._slow_schedule.restart()
        self._frame_size = frame.shape[:2]
        self._scale = scale

    def _follow(self, plane: NDArray[np.uint8]) -> None:
        """Tracks the live faces into a frame and ends those that are lost."""
        self._close([face for face in self._live if not face.follower.step(plane)])
        if len(self._live) < 2:
            return
        # If two followers reach the same face, the one with more evidence keeps it.
        faces = sorted(self._live, key=lambda face: -face.follower.num_detected)
        boxes = np.stack([face.follower.box for face in faces])
        overlaps = box_overlap(boxes, boxes)
        for index, face in enumerate(faces):
            before = overlaps[index, :index]
            if np.delete(overlaps[index], index).max() > _TOUCH_OVERLAP:
                face.follower.touch()
            if before.size and before.max() > _SAME_FACE_OVERLAP:
                face.follower.forget_last()
                self._close([face])

    def _search(self, plane: NDArray[np.uint8], frame: NDArray[np.uint8]) -> None:
        """Searches the whole frame if one is due: confirms and starts faces."""
        picture = frame if frame.ndim == 3 else None
        cells = self._cuts.cells
        size = np.array(plane.shape[::-1] * 2, dtype=np.float64)
        known = [face.follower.box / size for face in self._live]
        if cells is not None and self._schedule.due(cells, known):
            self._take(plane, self._find(self._tools.detector, plane, picture))
        second = self._tools.second
        has_face = bool(self._live)
        if second is not None and self._slow_schedule.due(plane, has_face=has_face):
            found = self._find(second, plane, picture)
            self._slow_schedule.looked(found=bool(found))
            self._take(plane, found)

    def _find(
        self,
        detector: FaceDetector,
        plane: NDArray[np.uint8],
        picture: NDArray[np.uint8] | None,
    ) -> list[Detection]:
        return search_frame(detector, plane, self._smallest(), _LONGEST_SIDE, picture)

    def _smallest(self) -> float:
        """Returns the smallest side of a face to search for, in plane pixels."""
        smallest = self._min_face * self._scale
        if not self._main_only:
            return smallest
        certain = [
            box_side(face.follower.box)
            for face in self._live
            if face.follower.num_detected >= _CERTAIN_DETECTIONS
            and face.follower.is_certain
        ]
        return max(smallest, _MAIN_SHARE * max(certain, default=0.0))

    def _take(self, plane: NDArray[np.uint8], found: list[Detection]) -> None:
        """Confirms known faces and starts new ones."""
        boxes = np.array([detection.box for detection in found]).reshape(-1, 4)
        known = np.array([face.follower.box for face in self._live]).reshape(-1, 4)
        matched = match_boxes(known, boxes, _MATCH_IOU)
        for live, new in matched:
            self._live[live].follower.confirm(plane, found[new])
        confirmed = {new for _, new in matched}
        for index, detection in enumerate(found):
            others = [face.follower.box for face in self._live]
            if index not in confirmed and not _is_among(detection.box, others):
                self._start_face(plane, detection)

    def _start_face(self, plane: NDArray[np.uint8], detection: Detection) -> None:
        """Starts tracking a new face, first backwards, then forwards."""
        backwards = self._new_follower(plane, detection)
        for age, earlier in enumerate(reversed(self._planes), start=1):
            if not backwards.step(earlier):
                break
            if self._is_known(backwards.box, self._frames_seen - age):
                backwards.forget_last()
                break
        follower = self._new_follower(plane, detection)
        self._live.append(LiveFace(self._frames_seen, backwards, follower))

    def _new_follower(
        self, plane: NDArray[np.uint8], detection: Detection
    ) -> FaceFollower:
        return FaceFollower(
            self._tools,
            plane,
            detection,
            check_every=self._check_every,
            max_unseen=self._max_unseen,
        )

    def _is_known(self, box: NDArray[np.float64], frame: int) -> bool:
        """Returns whether another face covers a box (4,) of the plane in a frame."""
        live = [face.box_at(frame) for face in self._live]
        closed = [
            face.box_at(frame) for face in self._closed if face.scene == self._scene
        ]
        boxes = [other for other in live if other is not None]
        boxes += [other * self._scale for other in closed if other is not None]
        return _is_among(box, boxes)

    def _close(self, faces: Iterable[LiveFace]) -> None:
        """Ends live faces and keeps their trajectories."""
        for face in list(faces):
            self._live.remove(face)
            self._closed.append(
                face.trajectory(self._scene, self._scale, self._frame_size)
            )


def _load_tools(detector: str | FaceDetector) -> FaceTools:
    """Loads what finds and follows faces."""
    if isinstance(detector, str):
        first, *others = load_detectors(detector)
    else:
        first, others = detector, []
    landmarks = DlibLandmarks() if first.landmarks is None else first.landmarks
    return FaceTools(first, landmarks, DlibEmbedder(), *others)


def _check_options(
    detector: str | FaceDetector, options: dict[str, tuple[int, int]]
) -> None:
    """Raises ValueError for an unknown detector or an option below its minimum."""
    for name, (value, minimum) in options.items():
        if value < minimum:
            raise ValueError(f"Invalid {name} {value}: must be at least {minimum}.")
    if not isinstance(detector, FaceDetector) and not is_detector_name(detector):
        raise ValueError(
            f"Invalid detector {detector!r}: must be one of "
            f"{', '.join(detector_names())}, package.module:factory or a FaceDetector."
        )


def find_faces(frames: Iterable[NDArray[np.uint8]], **options: Any) -> list[FaceTrack]:
    """Finds and tracks every face in a sequence of frames.

    Args:
        frames: uint8 arrays: RGB (H, W, 3) or luma (H, W); read once.
        **options: Options of `FaceFinder`.

    Returns:
        The tracks, as `FaceFinder.finish` returns them.
    """
    finder = FaceFinder(**options)
    for frame in frames:
        finder.update(frame)
    return finder.finish()


def _is_among(box: NDArray[np.float64], others: list[NDArray[np.float64]]) -> bool:
    """Returns whether one of `others` covers the same face as `box`."""
    if not others:
        return False
    return bool(box_overlap(box[None], np.stack(others)).max() > _SAME_FACE_OVERLAP)
