"""Sound of a dubbed video: what the generator hears, and what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lightly_marlin.audio.reader import AudioError, read_audio, read_channels
from lightly_marlin.audio.wav2lip_mel import mel_spectrogram
from lightly_marlin.lip_sync.sound_windows import mel_windows

__all__ = ["SOUND_RATE", "DubSound", "read_dub_sound"]

SOUND_RATE = 48000
"""Samples per second of the sound that is written."""

_MIN_FRAMES = 5
"""Frames whose sound a generator hears at once, as in Wav2Lip."""

_NOTICED = 0.05
"""Seconds of difference that are worth a word."""


@dataclass(frozen=True)
class DubSound:
    """Sound that replaces that of a video.

    Attributes:
        path: The file that it was read from.
        channels: float32 array with shape (1, n) or (2, n), in [-1, 1], at 48 kHz.
        start: Seconds from the first picture to the first sample; negative if the sound
            begins earlier.
        mel: Floating-point mel spectrogram (80, S), 80 steps per second.
    """

    path: Path | str
    channels: npt.NDArray[np.float32]
    start: float
    mel: npt.NDArray[np.floating]

    @property
    def end(self) -> float:
        """Seconds from the first picture to the end of the sound."""
        return self.start + float(self.channels.shape[1]) / SOUND_RATE

    def check(self, length: float, fps: float) -> None:
        """Checks that there is enough to hear.

        Args:
            length: Seconds of the pictures.
            fps: Frames per second.

        Raises:
            AudioError: If less than five frames, or than all if there are fewer, have
                sound.
        """
        heard = max(0.0, min(self.end, length) - max(0.0, self.start))
        needed = min(_MIN_FRAMES / fps, length)
        # Encoders round lengths; a millisecond is no difference.
        if heard < needed - 1e-3:
            raise AudioError(
                self.path,
                f"only {heard:.2f} s of its sound lie beside the pictures; lips need "
                f"{needed:.2f} s, which are {_MIN_FRAMES} frames",
            )

    def notes(self, length: float) -> list[str]:
        """Returns sentences on what is done to a sound of another length.

        Args:
            length: Seconds of the pictures.
        """
        notes = []
        if self.start < -_NOTICED:
            notes.append(
                f"The sound begins {-self.start:.2f} s before the pictures; that part "
                "is cut."
            )
        if self.start > _NOTICED:
            notes.append(
                f"The sound begins {self.start:.2f} s after the pictures; until then "
                "there is silence."
            )
        late = self.end - length
        if late > _NOTICED:
            notes.append(
                f"The sound is longer than the video ({length:.2f} s): its last "
                f"{late:.2f} s are cut."
            )
        if late < -_NOTICED:
            notes.append(
                f"The sound is shorter than the video ({length:.2f} s): the last "
                f"{-late:.2f} s are silent."
            )
        return notes

    def fitted(self, length: float) -> npt.NDArray[np.float32]:
        """Returns the sound beside the pictures, cut or filled with silence.

        Args:
            length: Seconds of the pictures.

        Returns:
            float32 array with shape (n,), or (2, n) in stereo, at 48 kHz, which begins
            with the first picture and lasts as long as they do.
        """
        count = round(length * SOUND_RATE)
        result = np.zeros((len(self.channels), count), np.float32)
        first = round(self.start * SOUND_RATE)
        heard = self.channels[:, max(0, -first) : max(0, count - first)]
        begin = max(0, first)
        result[:, begin : begin + heard.shape[1]] = heard
        return result[0] if len(result) == 1 else result

    def windows(self, ticks: Sequence[int], rate: float | Fraction) -> Tensor:
        """Returns the windows of sound that begin at given times.

        Args:
            ticks: Times after the first picture, such as indices of frames.
            rate: Ticks per second, such as the frame rate.

        Returns:
            Tensor (n, 1, 80, 16), as `mel_windows` returns it.
        """
        mel = self.mel.astype(np.float32)
        return mel_windows(mel, ticks, rate, sound_start=self.start)


def read_dub_sound(path: Path | str) -> DubSound:
    """Reads a sound.

    Args:
        path: A sound file, or a video with sound.

    Raises:
        AudioError: If there is no sound, or it cannot be read.
    """
    channels, start = read_channels(path, SOUND_RATE, 2)
    samples, _ = read_audio(path)
    return DubSound(path, channels, start, mel_spectrogram(samples))
