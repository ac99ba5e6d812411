"""Overlapping windows: every frame is covered, and its weights sum to 1."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightly_marlin.lip_sync.dubbing.overlap import (
    average_overlaps,
    window_starts,
    window_weights,
)


@given(st.integers(1, 90), st.integers(1, 20), st.data())
def test_window_starts__cover_every_frame(num_frames, window, data):
    stride = data.draw(st.integers(1, window))
    starts = window_starts(num_frames, window, stride)
    covered = {start + place for start in starts for place in range(window)}
    assert set(range(num_frames)) <= covered
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert starts[-1] == max(0, num_frames - window)


def test_window_starts__known_values():
    assert window_starts(40, 16, 8) == [0, 8, 16, 24]
    assert window_starts(41, 16, 8) == [0, 8, 16, 24, 25]
    assert window_starts(16, 16, 8) == window_starts(3, 16, 8) == [0]


@pytest.mark.parametrize("stride", [0, 17])
def test_window_starts__no_frame_is_left_out(stride):
    with pytest.raises(ValueError, match=f"stride {stride}: must be from 1 to the 16"):
        window_starts(40, 16, stride)


def test_window_weights__half_a_window_apart_they_sum_to_one():
    weights = window_weights(16)
    assert torch.allclose(weights[:8] + weights[8:], torch.ones(8))
    assert torch.equal(weights, weights.flip(0))
    assert weights.min() > 0


@given(st.integers(1, 60), st.integers(1, 16), st.data())
def test_average_overlaps__weights_sum_to_one(num_frames, window, data):
    """Windows that agree about a frame give just that, whatever covers it."""
    stride = data.draw(st.integers(1, window))
    starts = window_starts(num_frames, window, stride)
    windows = [(s, torch.arange(s, s + window).float()[:, None]) for s in starts]
    frames = list(average_overlaps(windows, num_frames))
    assert len(frames) == num_frames
    torch.testing.assert_close(torch.cat(frames), torch.arange(num_frames).float())


def test_average_overlaps__between_two_windows():
    windows = [(0, torch.zeros(16)), (8, torch.ones(16))]
    frames = torch.stack(list(average_overlaps(windows, 24)))
    assert (frames[:8] == 0).all()
    assert (frames[16:] == 1).all()
    torch.testing.assert_close(frames[8:16], window_weights(16)[:8])


def test_average_overlaps__gives_a_frame_as_soon_as_it_is_done():
    taken = []

    def windows():
        for start in (0, 8, 16):
            taken.append(start)
            yield start, torch.zeros(16)

    frames = average_overlaps(windows(), 32)
    for _ in range(8):
        next(frames)
    assert taken == [0, 8]
