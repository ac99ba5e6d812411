"""Windows as points: order, pictures, first windows, and videos without any."""

import numpy as np
import pytest
import torch

from lightly_marlin.analysis import window_points
from lightly_marlin.analysis.window_points import encode_points
from lightly_marlin.features import ExtractionOptions, Window, extract_features
from lightly_marlin.features.video_stream import VideoEnd
from lightly_marlin.features.video_windows import VideoInfo
from lightly_marlin.models import MarlinConfig, MarlinEncoder
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    config = MarlinConfig(
        img_size=32, encoder_dim=24, encoder_depth=1, encoder_num_heads=2
    )
    return MarlinEncoder(config).eval()


@pytest.fixture
def paths(tmp_path):
    """Videos of 40 frames, of none that can be read, and of 3."""
    levels = np.arange(40, dtype=np.uint8)[:, None, None, None] * 5
    frames = np.broadcast_to(levels, (40, 32, 32, 3))
    write_video(tmp_path / "a.mp4", frames, fps=20)
    (tmp_path / "b.mp4").write_text("no video")
    write_video(tmp_path / "c.mp4", frames[:3], fps=20)
    return [tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")]


def test_encode_points(encoder, paths):
    videos = list(encode_points(encoder, paths, ExtractionOptions()))
    assert [video.end.status for video in videos] == ["ok", "failed", "ok"]
    places = [[(p.start_frame, p.num_frames) for p in v.points] for v in videos]
    assert places == [[(0, 16), (8, 16)], [], [(0, 2)]]
    assert [list(video.first_windows) for video in videos] == [[0], [], [0]]
    assert videos[0].first_windows[0].start_frame == 0
    for path, video in zip(paths[::2], videos[::2], strict=True):
        expected = extract_features(encoder, path).features
        found = torch.stack([point.feature for point in video.points])
        torch.testing.assert_close(found, expected)


def test_pictures_are_of_the_middle_frame(encoder, paths):
    videos = list(encode_points(encoder, paths, ExtractionOptions()))
    for point, frame in zip(videos[0].points, (16, 24), strict=True):
        assert point.picture.size == (64, 64)
        assert abs(np.asarray(point.picture).mean() - 5 * frame) < 4
    # The middle of what is no padding.
    assert np.asarray(videos[2].points[0].picture).mean() == pytest.approx(10, abs=3)


def test_a_video_that_fails_late_has_no_points(encoder, monkeypatch):
    window = Window(0, 16, np.zeros((16, 32, 32, 3), np.uint8))
    ends = [VideoEnd(status, None, VideoInfo()) for status in ("failed", "ok")]
    events = [(0, window), (0, ends[0]), (1, window), (1, ends[1])]
    monkeypatch.setattr(window_points, "stream_windows", lambda *_, **__: events)
    videos = list(encode_points(encoder, [], ExtractionOptions()))
    assert [len(video.points) for video in videos] == [0, 1]
    assert [len(video.first_windows) for video in videos] == [0, 1]


def test_features_that_are_not_finite(encoder, paths):
    encoder.norm.weight.data.fill_(torch.nan)
    with pytest.raises(UsageError, match="features that are not finite"):
        list(encode_points(encoder, paths, ExtractionOptions()))
