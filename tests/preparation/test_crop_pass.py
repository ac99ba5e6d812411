import numpy as np
import pytest

from lightly_marlin.faces import FaceTrack, crop_face
from lightly_marlin.preparation.crop_pass import crop_tracks
from lightly_marlin.video import VideoError, VideoReader, write_video


def make_track(start, count, *, angle=0.0):
    boxes = np.tile(np.float32([10, 5, 58, 53]), (count, 1))
    boxes += np.arange(count, dtype=np.float32)[:, None]
    landmarks = np.zeros((count, 68, 2), np.float32)
    seen = np.ones(count, bool)
    return FaceTrack(start, boxes, landmarks, seen, 1.0, np.full(count, angle, "f4"))


@pytest.fixture
def frames(make_frames):
    return make_frames(20, 64, 96)


@pytest.fixture
def video(frames, tmp_path):
    write_video(tmp_path / "a.mkv", frames, codec="ffv1", pixel_format="bgr0")
    return tmp_path / "a.mkv"


@pytest.fixture
def conversions(monkeypatch):
    """Collects one entry per frame that is converted to RGB."""
    calls, convert = [], VideoReader._to_rgb

    def count(self, frame):
        calls.append(frame)
        return convert(self, frame)

    monkeypatch.setattr(VideoReader, "_to_rgb", count)
    return calls


def test_all_crops_in_the_order_of_the_frames(video, frames, conversions):
    tracks = [make_track(12, 4), make_track(2, 12, angle=0.3), make_track(2, 1)]
    items = list(crop_tracks(video, tracks, 32))
    places = [(tracks[item.track].start_frame + item.row, item) for item in items]
    assert [place for place, _ in places] == sorted(place for place, _ in places)
    assert [item.track for item in items[:3]] == [1, 2, 1]
    for place, item in places:
        track = tracks[item.track]
        angle = float(track.angles[item.row])
        expected = crop_face(frames[place], track.boxes[item.row], 32, angle)
        assert np.array_equal(item.crop, expected)
    assert [(i.track, i.row) for i in items if i.is_last] == [(2, 0), (1, 11), (0, 3)]
    # Frames 2 to 15, each once, though two of them are cropped twice.
    assert len(conversions) == 14


def test_frames_that_nobody_needs_are_not_converted(video, conversions):
    tracks = [make_track(1, 7), make_track(3, 5), make_track(15, 2)]
    items = list(crop_tracks(video, tracks, 32, needed=lambda _, row: row % 4 == 0))
    assert len(items) == 14
    assert all((item.crop is None) == (item.row % 4 != 0) for item in items)
    # Frames 1 and 5, 3 and 7, and 15.
    assert len(conversions) == 5


def test_a_video_that_became_shorter(video):
    with pytest.raises(VideoError, match="it changed while it was read"):
        list(crop_tracks(video, [make_track(10, 11)], 32))
    with pytest.raises(VideoError, match="it changed while it was read"):
        list(crop_tracks(video, [make_track(0, 3), make_track(20, 1)], 32))


def test_progress_is_reported_in_gaps_too(video, monkeypatch):
    calls = []
    name = "lightly_marlin.preparation.crop_pass.report_progress"
    monkeypatch.setattr(name, lambda: calls.append(1))
    list(crop_tracks(video, [make_track(0, 1), make_track(19, 1)], 32))
    assert len(calls) >= 20
