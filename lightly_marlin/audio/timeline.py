"""Timeline of decoded sound: one rate and layout, without gaps and overlaps.

Samples leave it as soon as their place is certain, so a long recording need not be in
memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.utils.dependency import require

__all__ = ["MAX_GAP", "Timeline"]

MAX_GAP = 600.0
"""Seconds of silence that time stamps may ask for in all; more count as damaged."""

_MAX_OVERLAP = 1.0
"""Seconds that time stamps may go back; further back, the recording's clock began anew,
as where files were joined."""

_TOLERANCE = 0.02
"""Seconds between a time stamp and the samples so far that mean nothing: some
containers round stamps to milliseconds, some clocks drift. Half a frame at 25 fps."""

# FFmpeg mixes channels without exceeding the range only if the result is of integers.
_FORMAT, _RANGE = "s32", 2.0**31


class Timeline:
    """Places frames by their time stamps.

    Frames that follow each other form a piece, which is resampled as a whole.

    Attributes:
        begin: Time of the first sample in seconds, on the container's clock; NaN before
            the first frame.
    """

    def __init__(self, rate: int, layout: str) -> None:
        """Starts without sound.

        Args:
            rate: Samples per second of the result.
            layout: "mono" or "stereo".
        """
        self._av = require("av", "Reading sound")
        self._rate = rate
        self._layout = layout
        self.begin = math.nan
        self._filled = 0  # Samples that have left.
        self._overlap = 0  # Samples of the piece that are still to be dropped.
        self._resampler: Any = None
        self._averages = False
        self._form: tuple[str, str, int] | None = None
        self._end = math.nan  # Seconds at which the sound so far ends.
        self._shift = 0.0  # Seconds to add to stamps whose clock began anew.
        self._silence = 0.0

    def add(self, frame: Any, time_base: Any) -> list[npt.NDArray[np.float32]]:
        """Takes the next frame.

        Args:
            frame: PyAV's audio frame.
            time_base: Unit of its time stamp, unless it has its own.

        Returns:
            The samples that follow those returned so far: float32 arrays with shape
            (channels, n), in [-1, 1].
        """
        blocks = []
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        late = self._lateness(frame, time_base)
        if form != self._form or abs(late) > _TOLERANCE:
            blocks += self.finish()
            blocks += self._begin_piece(
                late if self._form is None else self._end + late
            )
            self._form = form
        self._end += frame.samples / frame.sample_rate
        # Places come from here alone; the resampler would stumble over odd stamps.
        frame.pts = None
        return blocks + self._place(self._resample(frame))

    def finish(self) -> list[npt.NDArray[np.float32]]:
        """Returns the samples that the resampler still holds, as `add` does."""
        if self._resampler is None:
            return []
        return self._place(self._resampler.resample(None))

    def _begin_piece(self, seconds: float) -> list[npt.NDArray[np.float32]]:
        """Starts a piece at a time; returns the silence before it."""
        if self._form is None:
            self.begin = seconds
        self._end = seconds
        self._resampler, self._averages = self._new_resampler(), False
        gap = round((seconds - self.begin) * self._rate) - self._filled
        self._overlap = max(0, -gap)
        if gap <= 0:
            return []
        self._filled += gap
        return [np.zeros((self._channels, gap), np.float32)]

    def _lateness(self, frame: Any, time_base: Any) -> float:
        """Returns the seconds from the end of the sound so far to a frame.

        For the first frame, it is its time.
        """
        unit = frame.time_base or time_base
        known = frame.pts is not None and unit is not None
        if self._form is None:
            return float(frame.pts * unit) if known else 0.0
        if not known:
            return 0.0
        late = float(frame.pts * unit) + self._shift - self._end
        if not -_MAX_OVERLAP <= late <= MAX_GAP - self._silence:
            self._shift -= late
            return 0.0
        if late > _TOLERANCE:
            self._silence += late
        return late

    def _new_resampler(self) -> Any:
        return self._av.AudioResampler(
            format=_FORMAT, layout=self._layout, rate=self._rate
        )

    def _resample(self, frame: Any) -> list[Any]:
        """Returns what the resampler gives for a frame.

        FFmpeg cannot mix channels whose places it does not know; they are averaged.
        """
        if not self._averages:
            try:
                return list(self._resampler.resample(frame))
            except self._av.FFmpegError:
                self._resampler, self._averages = self._new_resampler(), True
        return list(self._resampler.resample(_average(self._av, frame)))

    def _place(self, frames: list[Any]) -> list[npt.NDArray[np.float32]]:
        """Returns resampled frames as samples, without those whose time has passed."""
        blocks = []
        for frame in frames:
            block = frame.to_ndarray().reshape(-1, self._channels).T / _RANGE
            block = block[:, self._overlap :].astype(np.float32)
            self._overlap = max(0, self._overlap - frame.samples)
            self._filled += block.shape[1]
            blocks.append(block)
        return blocks

    @property
    def _channels(self) -> int:
        return 1 if self._layout == "mono" else 2


def _average(av: Any, frame: Any) -> Any:
    """Returns a frame of one channel, the mean of all."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    mean = values.mean(axis=0, keepdims=True, dtype=np.float64)
    if values.dtype == np.uint8:
        mean = (mean - 128) / 128
    elif np.issubdtype(values.dtype, np.integer):
        mean = mean / -float(np.iinfo(values.dtype).min)
    result = av.AudioFrame.from_ndarray(
        mean.astype(np.float32), format="fltp", layout="mono"
    )
    result.sample_rate = frame.sample_rate
    return result
