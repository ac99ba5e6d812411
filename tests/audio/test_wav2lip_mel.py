"""Mel spectrogram: librosa's values, a transcription, and odd inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.audio import mel_spectrogram


def sweep():
    """One second whose pitch rises from 100 to 7100 Hz."""
    t = np.arange(16000) / 16000
    return (0.5 * np.sin(2 * np.pi * (100 * t + 3500 * t**2))).astype(np.float32)


def noise(length, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(length)


def hz_of(mel):
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def transcription(samples):
    """Band by band and step by step, with a Fourier transform written out."""
    sound = [x - 0.97 * y for x, y in zip(samples, [0, *samples[:-1]], strict=True)]
    padded = np.pad(sound, 400, mode="reflect")
    lowest, highest = 55 * 3 / 200, 15 + 27 * np.log(7.6) / np.log(6.4)
    corners = [hz_of(lowest + (highest - lowest) * i / 81) for i in range(82)]
    times = np.arange(800)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(401), times) / 800)
    result = np.empty((80, 1 + len(samples) // 200))
    for step in range(result.shape[1]):
        window = padded[200 * step :][:800] * np.sin(np.pi * times / 800) ** 2
        magnitudes = np.abs(waves @ window)
        for band in range(80):
            left, centre, right = corners[band : band + 3]
            total = 0.0
            for index, magnitude in enumerate(magnitudes):
                hz = 20 * index
                height = min(
                    (hz - left) / (centre - left), (right - hz) / (right - centre)
                )
                total += max(0, height) * 2 / (right - left) * magnitude
            decibels = 20 * np.log10(max(1e-5, total)) - 20
            result[band, step] = min(4, max(-4, 8 * (decibels + 100) / 100 - 4))
    return result


def test_mel_spectrogram__known_values():
    """From librosa 0.11.0: `stft(pad_mode="reflect")` and `filters.mel`, float64."""
    mel = mel_spectrogram(sweep())
    assert mel.shape == (80, 81)
    assert mel.dtype == np.float32
    known = {
        (0, 0): 0.8748536875798862,
        (5, 0): -0.292396131216647,
        (20, 10): 0.3711868310782851,
        (40, 40): -4.0,
        (79, 79): 1.7811879646151416,
        (79, 80): 2.245822711938663,
        (3, 79): -1.454958479646625,
    }
    got = {place: mel[place] for place in known}
    assert got == pytest.approx(known, abs=1e-5)
    assert mel.mean() == pytest.approx(-3.4138539484418136, abs=1e-5)


@pytest.mark.parametrize("length", [401, 999, 1000])
def test_mel_spectrogram__equals_a_transcription(length):
    samples = noise(length)
    expected = transcription(samples)
    np.testing.assert_allclose(mel_spectrogram(samples), expected, atol=1e-5)


def test_mel_spectrogram__a_tone_is_loudest_in_its_band():
    tone = 0.1 * np.sin(2 * np.pi * 3000 * np.arange(8000) / 16000)
    band = int(mel_spectrogram(tone)[:, 20].argmax())
    lowest, highest = 55 * 3 / 200, 15 + 27 * np.log(7.6) / np.log(6.4)
    step = (highest - lowest) / 81
    assert hz_of(lowest + step * band) < 3000 < hz_of(lowest + step * (band + 2))


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 3000), scale=st.sampled_from([0.0, 1e-6, 1.0, 1e3]))
def test_mel_spectrogram__is_in_range(length, scale):
    mel = mel_spectrogram(scale * noise(length))
    assert mel.shape == (80, 1 + length // 200)
    assert mel.min() >= -4
    assert mel.max() <= 4


@settings(max_examples=15, deadline=None)
@given(hops=st.integers(1, 10), seed=st.integers(0, 9))
def test_mel_spectrogram__later_sound_is_later(hops, seed):
    """Away from the edges, whole hops of delay shift the columns."""
    samples = noise(4000, seed)
    later = np.concatenate([np.zeros(200 * hops), samples])
    now, then = mel_spectrogram(samples), mel_spectrogram(later)
    np.testing.assert_allclose(then[:, hops + 3 : -3], now[:, 3:-3], atol=1e-5)


def test_mel_spectrogram__blocks_make_no_difference(monkeypatch):
    whole = mel_spectrogram(noise(5000))
    monkeypatch.setattr("lightly_marlin.audio.wav2lip_mel._BLOCK", 7)
    np.testing.assert_array_equal(mel_spectrogram(noise(5000)), whole)


def test_mel_spectrogram__silence_and_nothing():
    assert (mel_spectrogram(np.zeros(1000, np.float32)) == -4).all()
    assert mel_spectrogram(np.zeros(0, np.float32)).shape == (80, 0)
