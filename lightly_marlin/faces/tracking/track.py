"""Track of a face through a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["NUM_LANDMARKS", "FaceTrack", "main_track"]

NUM_LANDMARKS = 68
"""Number of landmarks, in the order of iBUG 300-W: jaw, brows, nose, eyes, mouth."""


def _empty() -> NDArray[np.float32]:
    return np.empty(0, dtype=np.float32)


@dataclass(frozen=True)
class FaceTrack:
    """One face over consecutive frames, with a smooth crop box.

    Boxes use pixel edges: (0, 0, width, height) is the whole frame. Landmarks use pixel
    centres: (0, 0) is the middle of the top left pixel.

    Attributes:
        start_frame:
            The first frame of the track; 0 is the first decoded frame of the video.
        boxes:
            float32 array with shape (n, 4): x0, y0, x1, y1 of the square crop box in
            source pixels, smooth in time; may reach outside the frame.
        landmarks:
            float32 array with shape (n, 68, 2): x, y in source pixels, smoothed over
            time; in calm stretches, every second frame is interpolated.
        detected:
            bool array with shape (n,): a detector saw the face in this frame. The other
            frames were tracked or interpolated; the detector was not run on most of
            them at all.
        score:
            Mean detection score over the detected frames. dlib's detector accepts faces
            from 0 upwards; clear frontal faces score 1 to 3, and about 1 with its CNN.
        angles:
            float32 array with shape (n,): rotation of the crop in radians, clockwise on
            the screen; smooth in time. 0 by default: crops are upright.
        seen:
            bool array with shape (n,): a detector saw the face in this frame or within
            a few frames. Equal to `detected` by default.
        confidence:
            float32 array with shape (n,): confidence of the landmarks, in [0, 1]; NaN
            in frames in which it was not measured, by default in all.
        person: Number of the person within the video, from 0 in order of appearance.
        frame_size: Height and width in pixels of the track's frames, which may change
            within a video; None if unknown.
    """

    start_frame: int
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    detected: NDArray[np.bool_]
    score: float
    angles: NDArray[np.float32] = field(default_factory=_empty)
    seen: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    confidence: NDArray[np.float32] = field(default_factory=_empty)
    person: int = 0
    frame_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Completes the defaults and checks the shapes.

        Raises:
            ValueError: If the arrays differ in their number of frames, or are empty.
        """
        count = len(self.boxes)
        defaults = {
            "angles": np.zeros(count, dtype=np.float32),
            "seen": self.detected,
            "confidence": np.full(count, np.nan, dtype=np.float32),
        }
        for name, value in defaults.items():
            if len(getattr(self, name)) == 0:
                object.__setattr__(self, name, value)
        expected = {
            "boxes": (count, 4),
            "landmarks": (count, NUM_LANDMARKS, 2),
            "detected": (count,),
            "angles": (count,),
            "seen": (count,),
            "confidence": (count,),
        }
        for name, shape in expected.items():
            actual = getattr(self, name).shape
            if actual != shape or count == 0:
                raise ValueError(
                    f"Invalid shape of {name} {actual}: a track of n >= 1 frames has "
                    "boxes (n, 4), landmarks (n, 68, 2), and the others (n,)."
                )

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.boxes)

    @property
    def end_frame(self) -> int:
        """One past the last frame."""
        return self.start_frame + self.num_frames

    @property
    def size(self) -> float:
        """Median side of the crop box in source pixels."""
        return float(np.median(self.boxes[:, 2] - self.boxes[:, 0]))


def main_track(tracks: Sequence[FaceTrack]) -> FaceTrack:
    """Returns the main face of the video: the one with the largest area times length.

    Args:
        tracks: The tracks of one video, in any order.

    Returns:
        The main track; the first one of equals.

    Raises:
        ValueError: If `tracks` is empty.
    """
    if not tracks:
        raise ValueError("Invalid tracks []: there must be at least one.")
    return max(tracks, key=lambda track: track.size**2 * track.num_frames)
