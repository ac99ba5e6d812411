"""Frames at 25 per second: FFmpeg's own filter as oracle."""

from fractions import Fraction

import numpy as np
import pytest

from lightly_marlin.lip_sync.frame_rate import frames_at_25, frames_shown

RATES = (
    "5",
    "10",
    "12",
    "25/2",
    "15",
    "24",
    "24000/1001",
    "30",
    "30000/1001",
    "50",
    "60",
)


def ffmpeg(count, rate):
    """Numbers of the frames that FFmpeg's filter passes on, told by their grey."""
    av = pytest.importorskip("av")
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=16, height=16, format="gray", time_base=1 / Fraction(rate)
    )
    graph.link_nodes(source, graph.add("fps", "25"), graph.add("buffersink"))
    graph.configure()
    for number in range(count):
        frame = av.VideoFrame(16, 16, "gray")
        frame.planes[0].update(bytes([number]) * frame.planes[0].buffer_size)
        frame.pts, frame.duration = number, 1
        frame.time_base = 1 / Fraction(rate)
        graph.push(frame)
    graph.push(None)
    shown = []
    while True:
        try:
            shown.append(int(graph.pull().to_ndarray()[0, 0]))
        except (av.EOFError, av.BlockingIOError):
            return shown


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("count", [1, 2, 31])
def test_frames__are_those_that_ffmpeg_shows(rate, count):
    found = frames_at_25(count, float(Fraction(rate))).tolist()
    assert found == ffmpeg(count, rate)


def test_frames__known_values():
    assert frames_at_25(5, 25.0).tolist() == [0, 1, 2, 3, 4]
    assert frames_at_25(6, 50.0).tolist() == [0, 2, 4]
    assert frames_at_25(2, 5.0).tolist() == [0] * 5 + [1] * 5
    # Of six frames at 30 per second, one is left out.
    assert frames_at_25(6, 30.0).tolist() == [0, 1, 2, 4, 5]
    assert frames_at_25(0, 30.0).tolist() == []


@pytest.mark.parametrize("fps", [23.976, 29.97, 59.94, 1000.0, 0.5])
def test_frames__last_as_long_as_the_video(fps):
    found = frames_at_25(300, fps)
    assert len(found) == pytest.approx(300 * 25 / fps, abs=0.5)
    assert (np.diff(found) >= 0).all()
    assert found[0] >= 0
    assert found[-1] <= 299


@pytest.mark.parametrize("fps", [0, -25, float("nan"), float("inf")])
def test_frames__rates_that_are_none(fps):
    with pytest.raises(ValueError, match=r"Invalid fps \("):
        frames_at_25(3, fps)


@pytest.mark.parametrize("rate", RATES)
def test_frames_shown__of_a_constant_rate_are_those_of_the_rate(rate):
    fps = float(Fraction(rate))
    expected = frames_at_25(31, fps)
    assert frames_shown(np.arange(31) / fps, len(expected)).tolist() == list(expected)


def test_frames_shown__known_values():
    seconds = np.array([0, 0.04, 0.2, 0.19, 0.24])
    assert frames_shown(seconds, 8).tolist() == [0, 1, 1, 1, 1, 3, 4, 4]
    assert frames_shown(np.zeros(1), 3).tolist() == [0, 0, 0]
