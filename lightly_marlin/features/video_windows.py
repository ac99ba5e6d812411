"""Windows of a video file, cut from its frames or from its faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.track_cutter import TrackCutter
from lightly_marlin.features.windows import Stretch, Window
from lightly_marlin.jobs.worker_pool import report_progress
from lightly_marlin.preparation.crop_pass import crop_tracks
from lightly_marlin.preparation.video_faces import find_video_faces
from lightly_marlin.video import VideoReader

__all__ = ["VideoInfo", "to_square", "video_windows"]


@dataclass
class VideoInfo:
    """Facts about a video that become known while it is read.

    Attributes:
        fps: Average frame rate in frames per second.
        num_frames: Frames that were decoded.
        seconds: Display times of these frames, float64 (num_frames,); known at the end.
        num_tracks: Face tracks that windows are cut from; 1 for whole frames.
        note: Note for the user about a video that is used nevertheless.
        face_widths: Median side of the face's own box in source pixels, per track; none
            for whole frames.
        track_ids: Names of the tracks; none if they are named by their numbers.
    """

    fps: float = 25.0
    num_frames: int = 0
    seconds: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    num_tracks: int = 0
    note: str | None = None
    face_widths: tuple[float, ...] = ()
    track_ids: tuple[str, ...] = ()


def video_windows(
    path: Path | str,
    options: ExtractionOptions,
    *,
    num_frames: int = 16,
    size: int = 224,
    info: VideoInfo | None = None,
    stretches: Sequence[Stretch] = (),
) -> Iterator[Window]:
    """Yields the windows of a video as they are completed.

    The windows of one track come in temporal order; those of several tracks interleave.

    Args:
        path: A video file of any kind that FFmpeg reads.
        options: Options of the windows.
        num_frames: Frames of a window.
        size: Height and width of a window in pixels.
        info: Filled in while the video is read.
        stretches: Stretches that get a window of their own where they hold the middle
            of none; see `plan_stretches`. Whole frames are then decoded twice.

    Yields:
        Windows with clips (num_frames, size, size, 3).

    Raises:
        VideoError: If the video cannot be used, with the reason.
        NoFaceError: If faces are to be cropped and there is none.
    """
    info = VideoInfo() if info is None else info
    path = Path(path).absolute()
    if options.crop_face:
        yield from _of_faces(path, options, num_frames, size, info, stretches)
        return
    cutter = TrackCutter(options, num_frames)
    if stretches:
        seconds = _frame_times(path)
        cutter = TrackCutter(
            options,
            num_frames,
            length=len(seconds),
            stretches=stretches,
            seconds=seconds,
        )
    yield from _of_frames(path, cutter, size, info)


def _frame_times(path: Path) -> npt.NDArray[np.float64]:
    """Returns the display times of the frames, which are known at the end."""
    with VideoReader(path) as reader:
        for _ in reader.lazy_frames():
            report_progress()
    return reader.seconds


def _of_frames(
    path: Path, cutter: TrackCutter, size: int, info: VideoInfo
) -> Iterator[Window]:
    """Yields windows of the middle square of the frames."""
    info.num_tracks = 1
    with VideoReader(path) as reader:
        for convert in reader.lazy_frames():
            report_progress()
            if not cutter.needs_next:
                yield from cutter.add(None)
                continue
            frame = convert()
            height, width = frame.shape[:2]
            if info.note is None and height != width:
                info.note = (
                    f"the middle square of its {width}x{height} frames was used as the "
                    "face crop; crop_face (--crop-face on the command line) finds the "
                    "face instead"
                )
            yield from cutter.add(to_square(frame, size))
    info.fps = reader.fps
    info.num_frames, info.seconds = reader.num_frames, reader.seconds
    info.note = "; ".join(filter(None, (info.note, *reader.notes))) or None
    yield from cutter.finish()


def to_square(frame: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Returns the middle square of a frame, resized.

    Args:
        frame: uint8 array with shape (H, W, 3), RGB.
        size: Height and width of the result in pixels.

    Returns:
        uint8 array with shape (size, size, 3); the frame itself if it has this size.
    """
    height, width = frame.shape[:2]
    if height == width == size:
        return frame
    from lightly_marlin.faces import crop_face

    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    return crop_face(frame, np.array([left, top, left + side, top + side]), size)


def _of_faces(
    path: Path,
    options: ExtractionOptions,
    num_frames: int,
    size: int,
    info: VideoInfo,
    stretches: Sequence[Stretch],
) -> Iterator[Window]:
    """Yields windows of the crops of faces."""
    from lightly_marlin.faces.boxes import face_boxes

    # Short tracks are padded: a face seen for a moment is better than none.
    found = find_video_faces(path, options, all_faces=options.all_faces)
    info.fps, info.num_frames, info.note = found.fps, found.num_frames, found.note
    info.seconds = found.seconds
    tracks = found.select(all_faces=options.all_faces)
    info.num_tracks = len(tracks)
    widths = (face_boxes(track.landmarks)[:, 0::2] for track in tracks)
    info.face_widths = tuple(float(np.median(w[:, 1] - w[:, 0])) for w in widths)
    cutters = [
        TrackCutter(
            options,
            num_frames,
            length=track.num_frames,
            first_frame=track.start_frame,
            track=number,
            stretches=stretches,
            seconds=found.seconds,
        )
        for number, track in enumerate(tracks)
    ]

    def is_needed(track: int, row: int) -> bool:
        return cutters[track].needs(row)

    for item in crop_tracks(path, tracks, size, needed=is_needed):
        yield from cutters[item.track].add(item.crop)
        if item.is_last:
            yield from cutters[item.track].finish()
