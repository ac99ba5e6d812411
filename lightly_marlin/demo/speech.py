"""Speech of the talking demo clips: irregular syllables, and a voice that follows them.

The mouth of an ordinary demo clip moves like a slow wave, which looks alike a period
later. Here it opens 3 to 6 times a second, never at the same distance, width and
height, and the voice is as loud as it is open: sound and picture fit at a single shift.

The voice is a sum of harmonics under formants, of which the first rises as the jaw
falls [0], with some breath.

- [0]: Acoustic Theory of Speech Production (G. Fant), 1960
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.audio.samples import RATE
from lightly_marlin.demo.motion import FPS, wave

__all__ = ["Syllables", "draw_syllables", "mouth_opening", "speech", "speech_opening"]

_Array = NDArray[np.float64]

_SHUT, _WIDE = -0.1, 0.8
"""Openings of the shut mouth and of one that is as wide as it gets."""

_INTERVALS = (1 / 6, 1 / 3)
"""Limits of the seconds between syllables."""

_HALF_WIDTHS = (0.06, 0.13)
"""Limits of the seconds from the height of a syllable to its ends."""

_HEIGHTS = (0.4, 1.0)

_PAUSE_SHARE, _PAUSES = 0.15, (0.2, 0.6)
"""Share of the syllables that a pause precedes, and limits of its seconds."""

_LEVEL = 0.15
"""Root mean square of the voice with a wide-open mouth."""

_BREATH = 0.2
"""Level of the breath relative to that of the voice."""

_NUM_HARMONICS = 20

_SYLLABLES, _VOICE = 1, 2  # What the generators of a clip are for.


class Syllables(NamedTuple):
    """Syllables in the order of time; each a float64 array with shape (n,).

    Attributes:
        centres: Second at which the mouth is open the most.
        half_widths: Seconds from there to both ends.
        heights: Opening there, in (0, 1].
    """

    centres: _Array
    half_widths: _Array
    heights: _Array


def draw_syllables(generator: np.random.Generator, seconds: float) -> Syllables:
    """Draws syllables at irregular times, with pauses between some.

    Args:
        generator: Draws them; longer speech starts with the same ones.
        seconds: Length of the speech.

    Returns:
        At least one syllable; the last ones may lie after the end.
    """
    drawn: list[tuple[float, float, float]] = []
    centre = 0.0
    while centre < seconds + _HALF_WIDTHS[1]:
        pause = generator.uniform(*_PAUSES)
        centre += pause if generator.random() < _PAUSE_SHARE else 0.0
        centre += generator.uniform(*_INTERVALS)
        half_width = generator.uniform(*_HALF_WIDTHS)
        drawn.append((centre, half_width, generator.uniform(*_HEIGHTS)))
    return Syllables(*np.array(drawn).T)


def mouth_opening(syllables: Syllables, seconds: _Array) -> _Array:
    """Returns how wide syllables open the mouth.

    Args:
        syllables: The syllables.
        seconds: float64 array with shape (T,): times, ascending.

    Returns:
        float64 array with shape (T,) in [-0.1, 0.8], as `ExpressionCurves.opening`. The
        mouth is shut below 0.
    """
    share = np.zeros(len(seconds))
    for centre, half_width, height in zip(*syllables, strict=True):
        ends = np.searchsorted(seconds, (centre - half_width, centre + half_width))
        around = slice(*ends)
        phase = np.pi / 2 * (seconds[around] - centre) / half_width
        bump = height * np.square(np.cos(phase))
        share[around] = np.maximum(share[around], bump)
    return _SHUT + (_WIDE - _SHUT) * share


def speech_opening(index: int, num_frames: int, seed: int = 0) -> _Array:
    """Returns the opening of the mouth in the frames of a talking clip.

    Args:
        index: Index of the clip, from 0.
        num_frames: Frames of the clip, 25 per second.
        seed: Seed of the clips.

    Returns:
        float64 array with shape (num_frames,), see `mouth_opening`.
    """
    return mouth_opening(
        _syllables(index, num_frames, seed), np.arange(num_frames) / FPS
    )


def speech(index: int, num_frames: int, seed: int = 0) -> NDArray[np.float32]:
    """Makes the sound of a talking clip.

    It is as loud as the mouth is open, and silent where it is shut.

    Args:
        index: Index of the clip, from 0.
        num_frames: Frames of the clip, 25 per second.
        seed: Seed of the clips.

    Returns:
        float32 array with shape (640 * num_frames,), 16 kHz, in [-1, 1]; a longer one
        starts with the same samples.
    """
    seconds = np.arange(round(num_frames / FPS * RATE)) / RATE
    opening = mouth_opening(_syllables(index, num_frames, seed), seconds)
    loudness = np.maximum(opening, 0) / _WIDE
    generator = _generator(index, seed, _VOICE)
    sound = _voice(generator, seconds, loudness)
    sound += _BREATH * generator.standard_normal(len(seconds))
    samples: NDArray[np.float32] = np.clip(_LEVEL * loudness * sound, -1, 1).astype(
        np.float32
    )
    return samples


def _voice(generator: np.random.Generator, seconds: _Array, loudness: _Array) -> _Array:
    """Returns a voice (n,) of constant level whose vowels change."""
    pitch = generator.uniform(110, 190) * 2 ** (0.2 * wave(generator, seconds, 0.5, 2))
    second_formant = 1500 + 600 * wave(generator, seconds, 1.0, 4.0)
    starts = generator.uniform(0, 2 * np.pi, size=_NUM_HARMONICS)
    formants = (
        (300 + 500 * loudness, 90.0, 1.0),
        (second_formant, 120.0, 0.6),
        (np.full(len(seconds), 2600.0), 180.0, 0.3),
    )
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice, power = np.zeros(len(seconds)), np.zeros(len(seconds))
    for number, start in enumerate(starts, start=1):
        gain = sum(
            height / (1 + np.square((number * pitch - centre) / width))
            for centre, width, height in formants
        )
        voice += gain * np.sin(number * phase + start)
        power += np.square(gain) / 2
    return voice / np.sqrt(power)


def _syllables(index: int, num_frames: int, seed: int) -> Syllables:
    return draw_syllables(_generator(index, seed, _SYLLABLES), num_frames / FPS)


def _generator(index: int, seed: int, purpose: int) -> np.random.Generator:
    """Returns a source of randomness besides `clip_generator`, which draws the rest."""
    return np.random.default_rng([seed, index, purpose])
