import numpy as np
import pytest

from lightly_marlin.faces.tracking.smoothing import smooth_gaussian, smooth_polynomial


def test_straight_motion_stays_straight_to_its_ends():
    line = np.linspace([0, 5], [10, -5], 40)
    np.testing.assert_allclose(smooth_gaussian(line, 4.0), line, atol=1e-9)


def test_a_jerk_is_spread_evenly_before_and_after():
    jerk = np.zeros(61)
    jerk[30] = 1
    smooth = smooth_gaussian(jerk, 3.0)
    np.testing.assert_allclose(smooth, smooth[::-1], atol=1e-12)
    assert smooth.argmax() == 30
    assert smooth.sum() == pytest.approx(1.0, abs=1e-6)


def test_noise_is_damped():
    noise = np.random.default_rng(0).normal(size=(300, 2))
    jitter = np.abs(np.diff(smooth_gaussian(noise, 4.0), 2, axis=0)).mean()
    assert jitter < 0.05 * np.abs(np.diff(noise, 2, axis=0)).mean()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_short_sequences_keep_their_shape(count):
    values = np.arange(count * 2.0).reshape(count, 2)
    for smooth in (smooth_gaussian(values, 8.0), smooth_polynomial(values, 5)):
        np.testing.assert_allclose(smooth, values, atol=1e-9)


def test_a_parabola_passes_the_polynomial_filter():
    parabola = np.square(np.arange(30.0) - 11)
    np.testing.assert_allclose(smooth_polynomial(parabola, 5), parabola, atol=1e-9)


def test_the_input_is_left_alone():
    values = np.ones(3)
    smooth_polynomial(values, 5)[:] = 2
    assert (values == 1).all()
