import math

import numpy as np
import pytest

from lightly_marlin.video.frame_times import frame_rate, frame_seconds

BY_RATE = np.arange(6) / 30


def test_rounded_stamps_of_a_constant_rate_give_way_to_it():
    stamps = 7.5 + np.round(BY_RATE, 3)
    np.testing.assert_array_equal(frame_seconds(stamps, 30.0), BY_RATE)


def test_stamps_of_a_variable_rate_count_from_the_first_frame():
    stamps = [3.0, 3.1, 3.5, 3.6, 5.0, 5.1]
    expected = [0, 0.1, 0.5, 0.6, 2.0, 2.1]
    np.testing.assert_allclose(frame_seconds(stamps, 30.0), expected)


def test_a_wrong_rate_in_the_header():
    np.testing.assert_allclose(frame_seconds(BY_RATE, 1000.0), BY_RATE)


@pytest.mark.parametrize("bad", [math.nan, -5.0, 0.4])
def test_stamps_that_miss_or_go_back_are_not_used(bad):
    stamps = [0.0, 0.5, bad, 1.5, 2.0, 2.5]
    np.testing.assert_array_equal(frame_seconds(stamps, 30.0), BY_RATE)
    np.testing.assert_array_equal(frame_seconds([3.0] * 6, 30.0), BY_RATE)


def test_two_frames_at_one_time():
    stamps = [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    np.testing.assert_allclose(frame_seconds(stamps, 30.0), stamps)


def test_none_and_one():
    assert frame_seconds([], 25.0).shape == (0,)
    assert frame_seconds([4.0], 25.0).tolist() == [0.0]


@pytest.mark.parametrize(
    ("stamps", "header", "rate"),
    [
        ([0.0, 0.04, 0.08, 0.12], 25.0, 25.0),  # They agree.
        ([0.0, 0.041, 0.079, 0.12], 25.0, 25.0),  # To within a frame: rounded stamps.
        ([5.0, 5.1, 5.2, 5.3], 1000.0, 10.0),  # The header holds a time base.
        ([0.0, 1.0, 2.0, 3.0], 25.0, 1.0),  # A slide show.
        ([0.0, math.nan, 2.0], 25.0, 25.0),
        ([0.0, 2.0, 1.0], 25.0, 25.0),
        ([3.0], 25.0, 25.0),
        ([], 25.0, 25.0),
        # Of a time base, stamps of which one is missing or goes back know more.
        ([0.0, 0.1, math.nan, 0.3, 0.4, 0.5], 1000.0, 10.0),
        ([0.0, 0.1, 0.2, 0.0, 0.1, 0.2], 1000.0, 10.0),
        ([math.nan] * 4, 1000.0, 1000.0),
        # A real camera of 480 frames a second, in milliseconds.
        ([0.0, 0.002, 0.004, 0.006, 0.008, 0.01], 480.0, 480.0),
    ],
)
def test_frame_rate(stamps, header, rate):
    assert frame_rate(stamps, header) == pytest.approx(rate)


def test_frame_seconds__of_a_time_base_and_stamps_that_go_back():
    """Two recordings of a browser, joined."""
    times = frame_seconds([0.0, 0.1, 0.2, 0.0, 0.1, 0.2], 1000.0)
    np.testing.assert_allclose(times, np.arange(6) / 10)


def test_frame_rate__never_more_than_a_camera_has():
    assert frame_rate([i * 1e-6 for i in range(5000)], 500.0) == 1000.0
