"""Speech of the talking clips: syllables nowhere alike, heard when they are seen."""

import numpy as np
import pytest

from lightly_marlin.demo.motion import expression_curves
from lightly_marlin.demo.speech import (
    Syllables,
    draw_syllables,
    mouth_opening,
    speech,
    speech_opening,
)


def loudness(samples):
    """Root mean square around each frame, (640 T,) to (T,)."""
    padded = np.pad(samples.astype(np.float64), (320, 320))
    return np.sqrt(np.square(padded[:-640]).reshape(-1, 640).mean(axis=1))


def correlation(one, other):
    return np.corrcoef(one, other)[0, 1]


def test_draw_syllables__have_the_rate_of_speech():
    syllables = draw_syllables(np.random.default_rng(0), 200.0)
    assert 2.5 < len(syllables.centres) / 200 < 5
    gaps = np.diff(syllables.centres)
    assert gaps.min() >= 1 / 6
    assert gaps.max() <= 1 / 3 + 0.6
    # Between 3 and 6 a second, evenly, but for the pauses.
    assert 0.8 < np.mean(gaps < 1 / 3) < 0.95
    assert np.histogram(gaps, 5, (1 / 6, 1 / 3))[0].min() > 60


def test_draw_syllables__longer_speech_begins_alike():
    for seconds in (0.0, 1.3, 4.0):
        short, long = (
            draw_syllables(np.random.default_rng(3), length) for length in (seconds, 9)
        )
        times = np.arange(0, seconds, 0.01)
        opening = mouth_opening(short, times)
        np.testing.assert_array_equal(opening, mouth_opening(long, times))


def test_mouth_opening__known_values():
    """Two syllables that overlap: the wider one counts."""
    syllables = Syllables(
        np.array([1.0, 1.15]), np.array([0.1, 0.1]), np.array([1.0, 0.5])
    )
    times = np.array([0.5, 0.9, 0.95, 1.0, 1.075, 1.15, 1.25, 2.0])
    near = np.square(np.cos(np.pi / 2 * 0.75))
    expected = [0, 0, 0.5, 1, near, 0.5, 0, 0]
    opening = mouth_opening(syllables, times)
    np.testing.assert_allclose(opening, -0.1 + 0.9 * np.array(expected), atol=1e-12)


def test_speech_opening__is_in_the_range_of_the_other_curves():
    for index in range(20):
        opening = speech_opening(index, 100)
        assert opening.shape == (100,)
        assert opening.min() == pytest.approx(-0.1)
        assert 0.3 < opening.max() <= 0.8


def test_speech_opening__moves_faster_than_ordinary_clips():
    seconds = np.arange(200) / 25
    drawn = expression_curves(np.random.default_rng(0), seconds).opening
    speed = [np.abs(np.diff(curve)).mean() for curve in (speech_opening(0, 200), drawn)]
    assert speed[0] > 1.5 * speed[1]


@pytest.mark.parametrize("index", range(8))
def test_speech__fits_the_mouth_at_a_single_shift(index):
    """Of all shifts up to a second, none comes near the right one."""
    opening, heard = speech_opening(index, 150), loudness(speech(index, 150))
    right = correlation(opening, heard)
    assert right > 0.9
    for shift in range(1, 26):
        ahead = correlation(opening[shift:], heard[:-shift])
        behind = correlation(opening[:-shift], heard[shift:])
        assert max(ahead, behind) < (right - 0.05 if shift == 1 else 0.75)


def test_speech__is_silent_where_the_mouth_is_shut():
    samples, opening = speech(2, 100), speech_opening(2, 100)
    assert (samples.dtype, samples.shape) == (np.float32, (64000,))
    at_frames = samples.reshape(100, 640)
    shut = opening < 0
    assert 10 < shut.sum() < 60
    assert not at_frames[shut, 0].any()
    assert (np.abs(at_frames[opening > 0.2]).max(axis=1) > 0.02).all()
    assert np.abs(samples).max() < 1


def test_speech__the_first_formant_rises_as_the_mouth_opens():
    """The centre of the spectrum below 1.2 kHz, of loud frames and of soft ones."""
    samples, opening = speech(0, 400), speech_opening(0, 400)
    spectra = np.abs(np.fft.rfft(samples.reshape(400, 640), axis=1)) ** 2
    hertz = np.fft.rfftfreq(640, 1 / 16000)
    low = hertz < 1200
    centres = [
        (spectra[chosen][:, low].sum(axis=0) @ hertz[low])
        / spectra[chosen][:, low].sum()
        for chosen in (opening > 0.5, (opening > 0.05) & (opening < 0.25))
    ]
    assert centres[0] > centres[1] + 100


def test_speech__is_its_seeds_alone():
    np.testing.assert_array_equal(speech(1, 20, 4), speech(1, 20, 4))
    np.testing.assert_array_equal(speech(1, 40, 4)[: 20 * 640], speech(1, 20, 4))
    for other in (speech(0, 20, 4), speech(1, 20, 5)):
        assert np.abs(other - speech(1, 20, 4)).max() > 0.01


def test_speech__is_that_of_the_first_release():
    """Stores of talking clips in caches stay what `demo_store` would make."""
    opening = speech_opening(3, 50, 1)
    assert opening.sum() == pytest.approx(6.3764165203336765, rel=1e-12)
    samples = speech(3, 50, 1)
    assert np.abs(samples).sum(dtype=float) == pytest.approx(870.95286, rel=1e-5)
    assert samples[10000] == pytest.approx(-0.03607544, rel=1e-4)
