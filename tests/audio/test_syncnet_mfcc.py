"""Cepstral coefficients: python_speech_features as oracle, and odd inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.audio import mfcc


def sweep():
    t = np.arange(16000) / 16000
    return (0.5 * np.sin(2 * np.pi * (100 * t + 3500 * t**2))).astype(np.float32)


def noise(length, scale=0.1, seed=0):
    return scale * np.random.default_rng(seed).standard_normal(length)


def as_int16(samples):
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def test_mfcc__known_values():
    """From python_speech_features 0.6, `mfcc(int16 samples, 16000)`."""
    values = mfcc(sweep())
    assert values.shape == (13, 99)
    assert values.dtype == np.float32
    known = {
        (0, 0): 19.010214166700667,
        (1, 0): 27.53150723692703,
        (6, 50): 8.966948031976852,
        (12, 98): 1.5481047461177957,
    }
    assert {place: values[place] for place in known} == pytest.approx(known, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 3000), scale=st.sampled_from([0.0, 1e-5, 0.1, 3.0]))
def test_mfcc__equals_the_oracle(length, scale):
    oracle = pytest.importorskip("python_speech_features")
    samples = noise(length, scale)
    expected = oracle.mfcc(as_int16(samples), 16000).T
    np.testing.assert_allclose(mfcc(samples), expected, atol=1e-4)


def test_mfcc__columns_of_a_video_frame():
    """Four columns per frame at 25 fps: 20 columns from column 4 t on hear frame t."""
    silent, loud = np.zeros(8 * 640), noise(2 * 640)
    loud[-1] = 0  # Pre-emphasis carries a sample on to the next.
    energy = mfcc(np.concatenate([silent, loud, silent]))[0]
    assert np.flatnonzero(energy > 0).tolist() == list(range(30, 40))


def test_mfcc__blocks_make_no_difference(monkeypatch):
    whole = mfcc(noise(5000))
    monkeypatch.setattr("lightly_marlin.audio.syncnet_mfcc._BLOCK", 7)
    np.testing.assert_array_equal(mfcc(noise(5000)), whole)


def test_mfcc__silence_and_nothing():
    silence = mfcc(np.zeros(1000))
    # The logarithm of the machine epsilon.
    np.testing.assert_allclose(silence[0], np.log(2.0**-52), rtol=1e-6)
    assert np.isfinite(silence).all()
    assert mfcc(np.zeros(0)).shape == (13, 0)
