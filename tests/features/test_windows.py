import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightly_marlin.features import WindowCutter
from lightly_marlin.features.windows import window_places


def cut(num_frames, size=16, **options):
    """Cuts frames that hold their own index; returns (start, real frames, indices)."""
    cutter, windows = WindowCutter(size, **options), []
    for index in range(num_frames):
        windows += cutter.add(np.full((1, 1, 3), index % 256, np.uint8))
    windows += cutter.finish()
    assert all(window.clip.shape == (size, 1, 1, 3) for window in windows)
    return [(w.start_frame, w.num_frames, w.clip[:, 0, 0, 0].tolist()) for w in windows]


def naive(n, size, rate, stride):
    sampled = list(range(0, n, rate))
    starts = [s for s in range(0, len(sampled), stride) if s + size <= len(sampled)]
    if not starts or starts[-1] + size < len(sampled):
        starts.append(max(0, len(sampled) - size))
    windows = [sampled[start : start + size] for start in starts]
    return [(w[0], len(w), w + w[-1:] * (size - len(w))) for w in windows]


def naive_reference(n, size, rate, stride):
    """What marlin-pytorch 0.3.4 does, from reading it."""
    if n <= size * rate:
        frames = list(range(min(n, size)))
        return [(0, len(frames), frames + frames[-1:] * (size - len(frames)))]
    starts = range(0, n - size * rate, stride * rate)
    return [(s, size, list(range(s, s + size * rate, rate))) for s in starts]


SIZES = {
    "n": st.integers(1, 120),
    "size": st.integers(1, 9),
    "rate": st.integers(1, 4),
    "stride": st.integers(1, 12),
}


@given(**SIZES)
def test_windows_are_those_of_the_naive_way(n, size, rate, stride):
    windows = cut(n, size, sample_rate=rate, stride=stride)
    assert windows == naive(n, size, rate, stride)
    expected = 1 + math.ceil(max(0, math.ceil(n / rate) - size) / stride)
    # A stride beyond the window leaves gaps, and the last window may end in one.
    assert len(windows) == expected or stride > size


@given(**SIZES)
def test_reference_windows_are_those_of_the_naive_way(n, size, rate, stride):
    windows = cut(n, size, sample_rate=rate, stride=stride, reference=True)
    assert windows == naive_reference(n, size, rate, stride)


@given(**SIZES)
def test_no_tail_is_lost(n, size, rate, stride):
    windows = cut(n, size, sample_rate=rate, stride=min(stride, size))
    seen = {index for _, _, indices in windows for index in indices}
    assert seen == set(range(0, n, rate))


@pytest.mark.parametrize(
    ("n", "starts"),
    [(1, [0]), (31, [0]), (32, [0]), (33, [0, 2]), (64, [0, 32]), (70, [0, 32, 38])],
)
def test_starts(n, starts):
    assert [start for start, _, _ in cut(n)] == starts


@pytest.mark.parametrize(
    ("n", "starts"),
    [(1, [0]), (32, [0]), (33, [0]), (64, [0]), (65, [0, 32]), (97, [0, 32, 64])],
)
def test_starts_of_the_reference(n, starts):
    assert [start for start, _, _ in cut(n, reference=True)] == starts


def test_short_videos_repeat_their_last_frame():
    assert cut(5) == [(0, 3, [0, 2, 4] + [4] * 13)]
    assert cut(5, reference=True) == [(0, 5, [0, 1, 2, 3, 4] + [4] * 11)]


def test_tracks_count_in_the_frames_of_the_video():
    cutter = WindowCutter(2, sample_rate=1, stride=2, first_frame=7, track=3)
    windows = [w for _ in range(4) for w in cutter.add(np.zeros((1, 1, 3), np.uint8))]
    assert [(w.track, w.start_frame) for w in windows] == [(3, 7), (3, 9)]
    assert list(cutter.finish()) == []


def test_no_frames_give_no_window():
    assert list(WindowCutter().finish()) == []
    assert list(WindowCutter(reference=True).finish()) == []


@pytest.mark.parametrize("reference", [False, True])
def test_memory_does_not_grow_with_the_length(reference):
    cutter = WindowCutter(reference=reference)
    tracemalloc.start()
    for index in range(2000):
        for window in cutter.add(np.full((64, 64, 3), index % 256, np.uint8)):
            assert window.clip.shape == (16, 64, 64, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Some windows of 16 frames of 12 kB; all frames would be 25 MB.
    assert peak < 2e6


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("rate", [1, 2, 5])
def test_frames_that_are_not_needed_may_be_left_out(reference, rate):
    def cut(*, leave_out):
        cutter = WindowCutter(4, sample_rate=rate, stride=2, reference=reference)
        windows, used = [], 0
        for number in range(45):
            needed = cutter.needs_next
            used += needed
            frame = np.full((1, 1, 3), number, np.uint8)
            windows += cutter.add(None if leave_out and not needed else frame)
        clips = [window.clip for window in [*windows, *cutter.finish()]]
        return np.stack(clips), used

    whole, _ = cut(leave_out=False)
    clips, used = cut(leave_out=True)
    assert np.array_equal(clips, whole)
    expected = set(range(0, 45, rate)) | set(range(4 if reference else 0))
    assert used == len(expected)


@given(**SIZES, reference=st.booleans())
def test_window_places__are_those_of_the_cutter(n, size, rate, stride, reference):
    options = {"sample_rate": rate, "stride": stride, "reference": reference}
    cutter = WindowCutter(size, **options, first_frame=5, track=2)
    windows = [w for _ in range(n) for w in cutter.add(np.zeros((1, 1, 3), np.uint8))]
    windows += cutter.finish()
    places = window_places(n, size, **options, first_frame=5, track=2)
    assert places == [window.place for window in windows]


def test_window_places__of_nothing():
    for reference in (False, True):
        options = {"sample_rate": 2, "stride": 16, "reference": reference}
        assert window_places(0, 16, **options) == []


def test_place__last_frame_and_middle():
    seconds = np.arange(40) / 20
    (place,) = window_places(40, 16, sample_rate=2, stride=16)[:1]
    assert (place.start_frame, place.num_frames, place.last_frame) == (0, 16, 30)
    assert place.middle(seconds) == 0.75
    (short,) = window_places(5, 16, sample_rate=2, stride=16, reference=True)
    # At full rate, as marlin-pytorch takes the frames of a short video.
    assert (short.num_frames, short.last_frame) == (5, 4)
