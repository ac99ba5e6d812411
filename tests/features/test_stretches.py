import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightly_marlin.features.stretches import (
    StretchCutter,
    frames_in,
    in_stretch,
    plan_stretches,
    read_segments,
)
from lightly_marlin.features.windows import WindowPlace, window_places
from lightly_marlin.utils.errors import UsageError

OPTIONS = {"sample_rate": 2, "stride": 16}


def plan(stretches, length=100, fps=25.0, first=0, size=16):
    regular = window_places(length, size, **OPTIONS, first_frame=first)
    return plan_stretches(
        stretches,
        regular,
        np.arange(first + length) / fps,
        first_frame=first,
        length=length,
        num_frames=size,
        sample_rate=2,
    )


@pytest.mark.parametrize(
    ("second", "stretch", "expected"),
    [
        (1.0, (1.0, 2.0), True),
        (2.0, (1.0, 2.0), False),
        (0.0, (None, 0.5), True),
        (9.0, (None, None), True),
        (0.5, (0.6, None), False),
    ],
)
def test_in_stretch(second, stretch, expected):
    assert in_stretch(second, stretch) is expected


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [
        ((None, None), (0, 10)),
        ((0.08, 0.2), (2, 5)),
        ((None, 0.02), (0, 1)),
        ((0.3, None), (8, 10)),
        # A rounded second does not cost a frame.
        ((0.1200001, 0.1600001), (3, 4)),
        ((0.13, 0.15), (3, 4)),
        # The last frame is shown from 0.36 to 0.4 s.
        ((0.37, 0.39), (9, 10)),
        ((0.37, 0.4), (9, 10)),
        ((0.37, 0.5), (10, 10)),
        ((0.37, None), (10, 10)),
        ((0.41, 0.42), (10, 10)),
        ((-1.0, -0.5), (0, 0)),
    ],
)
def test_frames_in(stretch, expected):
    assert frames_in(stretch, np.arange(10) / 25) == expected


def test_frames_in__a_video_of_one_frame():
    assert frames_in((0.0, 1.0), np.zeros(1)) == (0, 1)
    assert frames_in((0.5, 1.0), np.zeros(1)) == (1, 1)


@pytest.mark.parametrize("first", [0, 50])
def test_plan__the_last_frame_is_on_the_screen_until_the_next_one(first):
    """At the end of a video, and where its track ends before it does."""
    (place,) = plan([(first / 25 + 3.97, first / 25 + 3.99)], first=first)
    assert place[1:4] == (first + 99, 1, first + 99)
    longer = np.arange(300) / 25
    options = {"first_frame": 0, "length": 100, "num_frames": 16, "sample_rate": 2}
    (place,) = plan_stretches([(3.97, 3.99)], [], longer, **options)
    assert place[1:4] == (99, 1, 99)
    assert plan_stretches([(3.97, 4.05)], [], longer, **options) == []


def test_plan__a_stretch_with_the_middle_of_a_window_needs_none():
    # The first window is frames 0 to 30, its middle is frame 15, at 0.6 s.
    assert plan([(0.6, 0.64), (0.0, 4.0), (None, None)]) == []


def test_plan__a_short_stretch_is_padded():
    # Frames 20 to 24: three of them at stride 2.
    assert plan([(0.8, 1.0)]) == [WindowPlace(0, 20, 3, 24, (0.8, 1.0))]


def test_plan__a_longer_one_takes_the_frames_around_its_middle():
    """Windows that are far apart leave room for a stretch of more than a window."""
    (place,) = plan_stretches(
        [(1.0, 4.0)],
        [],
        np.arange(200) / 25,
        first_frame=0,
        length=200,
        num_frames=16,
        sample_rate=2,
    )
    # 75 frames from 25; 31 of them in the middle.
    assert (place.start_frame, place.num_frames, place.last_frame) == (47, 16, 77)


def test_plan__between_two_frames_the_one_that_is_shown():
    assert plan([(0.81, 0.83)]) == [WindowPlace(0, 20, 1, 20, (0.81, 0.83))]


def test_plan__outside_the_track():
    # The track is frames 50 to 69, 2.0 to 2.8 s; its window's middle is at 2.36 s.
    assert plan([(0.0, 1.0), (2.8, 3.0)], length=20, first=50) == []
    (place,) = plan([(1.0, 2.1)], length=20, first=50)
    assert (place.start_frame, place.num_frames) == (50, 2)


STRETCHES = st.lists(
    st.tuples(st.floats(0, 6), st.floats(0.001, 3)).map(lambda x: (x[0], sum(x))),
    max_size=5,
)


@given(
    stretches=STRETCHES,
    length=st.integers(1, 120),
    first=st.integers(0, 20),
    size=st.integers(1, 9),
    rate=st.integers(1, 4),
    steps=st.lists(st.floats(0, 0.2), min_size=140, max_size=140),
)
def test_plan__windows_lie_in_their_stretch(
    stretches, length, first, size, rate, steps
):
    """Or, between two frames, are a single frame; and they are never needless."""
    seconds = np.cumsum(steps)
    places = window_places(
        length, size, sample_rate=rate, stride=size, first_frame=first
    )
    found = plan_stretches(
        stretches,
        places,
        seconds,
        first_frame=first,
        length=length,
        num_frames=size,
        sample_rate=rate,
    )
    middles = [place.middle(seconds) for place in places]
    needy = [s for s in stretches if not any(in_stretch(m, s) for m in middles)]
    for place in found:
        assert place.stretch in needy
        assert first <= place.start_frame <= place.last_frame < first + length
        frames = range(place.start_frame, place.last_frame + 1, rate)
        assert len(frames) == place.num_frames <= size
        inside = [in_stretch(seconds[frame], place.stretch) for frame in frames]
        assert all(inside) or len(frames) == 1
    covered = [
        s
        for s in needy
        if any(in_stretch(t, s) for t in seconds[first : first + length])
    ]
    assert set(covered) <= {place.stretch for place in found}


def test_cutter__gives_the_planned_frames():
    stretches = [(0.0, 0.3), (0.04, 0.5), (0.8, 1.0), (2.04, 2.1)]
    places = plan(stretches, length=60)
    assert len(places) == 4
    cutter, windows, used = StretchCutter(places, 16, 2), [], set()
    for index in range(60):
        frame = np.full((1, 1, 3), index, np.uint8)
        needed = cutter.needs(index)
        used |= {index} if needed else set()
        windows += cutter.add(frame if needed else None)
    assert sorted(w.place for w in windows) == sorted(places)
    for window in windows:
        last = window.place.last_frame
        expected = list(range(window.start_frame, last + 1, 2))
        assert used >= set(expected)
        expected += [last] * (16 - len(expected))
        assert window.clip[:, 0, 0, 0].tolist() == expected


def test_read_segments__one_form():
    segments = {"a": [(1, np.float64(2)), (None, 1), (1.0, 2.0)], "b": []}
    assert read_segments(segments, ["a", "b"]) == {"a": ((None, 1.0), (1.0, 2.0))}
    assert read_segments(None, ["a"]) == {}


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ({"c": [(0, 1)]}, "there is no video 'c'"),
        ({"a": [(2, 1)]}, r"Invalid segment \(2, 1\) of 'a'"),
        ({"a": [(1, 1)]}, r"\(1, 1\) of 'a'"),
        ({"a": [(-2, -1)]}, r"\(-2, -1\) of 'a'"),
        ({"a": [(math.nan, 1)]}, r"\(nan, 1\) of 'a'"),
        ({"a": [(0, math.inf)]}, r"\(0, inf\) of 'a'"),
    ],
)
def test_read_segments__bad_ones(segments, message):
    with pytest.raises(UsageError, match=message):
        read_segments(segments, ["a"])
