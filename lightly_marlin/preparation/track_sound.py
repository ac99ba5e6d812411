"""Sound of the tracks of a video, cut in one pass over it, however many they are.

A track's sound begins with its first frame and lasts as long as its frames are shown.
Only a block is in memory at a time, however long the video is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from lightly_marlin.audio.reader import AudioError, iter_audio
from lightly_marlin.audio.samples import RATE, to_int16
from lightly_marlin.jobs.worker_pool import report_progress
from lightly_marlin.store.format import track_arrays
from lightly_marlin.store.npy_rows import HEADER_BYTES, create_npy

__all__ = ["TrackSound", "write_sounds"]

_MAX_FRAME_SECONDS = 10.0
"""Mean seconds per frame of a track with sound, at most; more are time lapses, or time
stamps that jump, and would fill the disk with silence."""


class TrackSound:
    """Files of one track's sound.

    Attributes:
        begin: Index of the first sample, on the clock of `iter_audio`.
        end: Index after the last sample.
    """

    def __init__(
        self, video: Path, seconds: npt.NDArray[np.float64], fps: float
    ) -> None:
        """Takes the track's place in the video; nothing is written yet.

        Args:
            video: Its crop video; the arrays go beside it.
            seconds: float64 array with shape (n,), n > 0: time of each frame after the
                first one of the source.
            fps: Frame rate of the source, which tells how long the last frame is shown.
        """
        self.begin = round(float(seconds[0]) * RATE)
        self.end = round((float(seconds[-1]) + 1 / fps) * RATE)
        self._video = video
        self._seconds = seconds - seconds[0]
        self._file: IO[bytes] | None = None

    @property
    def num_samples(self) -> int:
        """Number of samples."""
        return self.end - self.begin

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self._seconds)

    def open(self) -> None:
        """Creates the files, with silence as sound."""
        arrays = track_arrays(self.num_frames, self.num_samples)
        np.save(self._path("seconds"), self._seconds)
        self._file = create_npy(self._path("audio"), *arrays["audio"])
        self._file.truncate(self._place(self.num_samples))

    def write(self, index: int, samples: npt.NDArray[np.float32]) -> None:
        """Writes what falls into the track.

        Args:
            index: Index of the first sample, on the clock of `iter_audio`.
            samples: float32 array with shape (n,), in [-1, 1].
        """
        assert self._file is not None
        first = max(index, self.begin)
        stop = min(index + len(samples), self.end)
        if first < stop:
            self._file.seek(self._place(first - self.begin))
            self._file.write(to_int16(samples[first - index : stop - index]).tobytes())

    def close(self) -> None:
        """Closes the files."""
        if self._file is not None:
            self._file.close()

    def _path(self, name: str) -> Path:
        return self._video.with_suffix(f".{name}.npy")

    @staticmethod
    def _place(sample: int) -> int:
        """Returns where a sample is in the file, in bytes."""
        return HEADER_BYTES + sample * np.dtype(np.int16).itemsize


def write_sounds(path: Path, sounds: Sequence[TrackSound]) -> None:
    """Reads the sound of a video and writes that of its tracks.

    What the recording does not have is silence in the track.

    Args:
        path: The video file.
        sounds: The tracks, at least one.

    Raises:
        AudioError: If there is no sound to read, or the frames are too far apart; then
            nothing is written.
    """
    apart = max(sound.num_samples / sound.num_frames for sound in sounds) / RATE
    if apart > _MAX_FRAME_SECONDS:
        raise AudioError(path, f"its frames are {apart:.0f} seconds apart")
    waiting = sorted(sounds, key=lambda sound: -sound.begin)
    active: list[TrackSound] = []
    with contextlib.ExitStack() as unfinished:
        for sound in sounds:
            unfinished.callback(sound.close)
        blocks = unfinished.enter_context(contextlib.closing(iter_audio(path)))
        for index, samples in blocks:
            report_progress()
            end = index + len(samples)
            while waiting and waiting[-1].begin < end:
                active.append(waiting.pop())
                active[-1].open()
            for sound in active:
                sound.write(index, samples)
                if sound.end <= end:
                    sound.close()
            active = [sound for sound in active if sound.end > end]
            if not waiting and not active:
                break
        for sound in waiting:
            sound.open()
            sound.close()
