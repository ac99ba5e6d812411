"""Samples: what both features refuse, and the filter before them."""

import numpy as np
import pytest

from lightly_marlin.audio import mel_spectrogram, mfcc
from lightly_marlin.audio.samples import (
    check_samples,
    from_int16,
    pre_emphasize,
    to_int16,
)


@pytest.mark.parametrize("feature", [mel_spectrogram, mfcc])
@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([0.1, np.nan]), "samples must be finite, got nan at index 1"),
        (np.array([-np.inf, 0.1]), "samples must be finite, got -inf at index 0"),
        (
            np.zeros((2, 9)),
            r"samples must have the shape \(n,\), got \(2, 9\); average",
        ),
        (np.zeros(9, np.int16), r"floats in \[-1, 1\], got int16; divide integers"),
    ],
)
def test_features__refuse(feature, samples, message):
    with pytest.raises(ValueError, match=message):
        feature(samples)


def test_check_samples__leaves_the_array_alone():
    samples = np.array([0.5, -0.5])
    pre_emphasize(check_samples(samples))
    assert samples.tolist() == [0.5, -0.5]


def test_pre_emphasize__known_values():
    result = pre_emphasize(np.array([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(result, [1.0, 0.03, -0.97])


def test_int16__known_values_and_clipping():
    floats = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 3.0, -3.0, 1.4 / 32768])
    expected = [-32768, -16384, 0, 16384, 32767, 32767, -32768, 1]
    for dtype in (np.float32, np.float64):
        assert to_int16(floats.astype(dtype)).tolist() == expected


def test_int16__every_value_comes_back():
    values = np.arange(-32768, 32768).astype(np.int16)
    floats = from_int16(values)
    assert floats.dtype == np.float32
    assert (floats[0], floats[-1]) == (-1, 32767 / 32768)
    assert np.array_equal(to_int16(floats), values)
