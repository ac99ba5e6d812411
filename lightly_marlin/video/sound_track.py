"""Sound track of a video that is being written."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.utils.dependency import require

__all__ = ["SoundTrack"]

_FRAME = 1024
"""Samples of a frame of AAC."""

_FALLBACK_RATE = 48000
"""Rate of sound whose own rate AAC does not know."""

_MAX_START = 3600.0
"""Seconds of silence before the sound, at most; more is a mistake."""


class SoundTrack:
    """Encodes samples as AAC, in step with the pictures.

    A late start becomes silence instead of a time stamp, because some players ignore
    the stamps of a stream's beginning.
    """

    def __init__(
        self,
        container: Any,
        samples: npt.NDArray[Any],
        rate: int,
        start: float = 0.0,
        first_picture: float = 0.0,
    ) -> None:
        """Adds a stream to a file.

        Args:
            container: PyAV's output container, of which nothing is written yet.
            samples: Floating-point array with shape (1, n) or (2, n), in [-1, 1].
            rate: Samples per second.
            start: Seconds from the first picture to the first sample.
            first_picture: Time stamp of the first picture in the file, in seconds.

        Raises:
            ValueError: If the rate or the start is impossible, or nothing sounds after
                the first picture.
        """
        if not isinstance(rate, int) or rate < 1:
            raise ValueError(f"audio_rate must be a positive integer, got {rate!r}")
        if not math.isfinite(start) or start > _MAX_START:
            raise ValueError(
                f"audio_start must be at most {_MAX_START:.0f} seconds, got {start}"
            )
        self._samples = _from_first_picture(samples, round(start * rate))
        if self._samples.shape[1] == 0:
            raise ValueError(
                f"audio of {samples.shape[1]} samples from {start:g} s on leaves "
                "nothing to hear after the first picture"
            )
        self._av = require("av", "Writing videos")
        self._container = container
        self._rate = rate
        self._offset = round(first_picture * rate)
        self._layout = "mono" if len(samples) == 1 else "stereo"
        known = self._av.codec.Codec("aac", "w").audio_rates
        self._stream = container.add_stream(
            "aac", rate=rate if rate in known else _FALLBACK_RATE
        )
        self._stream.layout = self._layout
        self._done = 0

    def write_until(self, seconds: float) -> None:
        """Writes whole frames that begin earlier than some time.

        Args:
            seconds: Time after the first picture.
        """
        while self._done < self._samples.shape[1] and self._done < seconds * self._rate:
            block = self._samples[:, self._done : self._done + _FRAME]
            frame = self._av.AudioFrame.from_ndarray(
                np.ascontiguousarray(block, np.float32), "fltp", self._layout
            )
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = self._offset + self._done
            self._done += block.shape[1]
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Writes the rest."""
        self.write_until(math.inf)
        self._container.mux(self._stream.encode())


def _from_first_picture(samples: npt.NDArray[Any], start: int) -> npt.NDArray[Any]:
    """Returns samples that begin with the first picture; cuts, or adds silence."""
    return np.pad(samples[:, max(0, -start) :], [(0, 0), (max(0, start), 0)])
