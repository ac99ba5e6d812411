import pytest

from lightly_marlin.features import ExtractionOptions, video_windows
from lightly_marlin.features.video_stream import VideoEnd, stream_windows


@pytest.fixture
def paths(save, make_frames, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    return [
        save("a.mkv", make_frames(70)),
        tmp_path / "text.mp4",
        save("b.mkv", make_frames(40, seed=2), fps=20.0),
        save("dark.mkv", make_frames(10, face=False)),
    ]


def collect(paths, **options):
    """Returns the windows and the end of every video."""
    num_workers = options.pop("num_workers", 0)
    windows, ends = {}, {}
    for index, event in stream_windows(
        paths,
        ExtractionOptions(**options),
        num_frames=16,
        size=32,
        num_workers=num_workers,
    ):
        assert index not in ends
        if isinstance(event, VideoEnd):
            ends[index] = event
        else:
            windows.setdefault(index, []).append(event)
    return windows, ends


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_every_video_comes_whole_and_in_order(num_workers, paths):
    windows, ends = collect(paths, num_workers=num_workers)
    assert set(windows) == {0, 2, 3}
    for index, found in windows.items():
        expected = list(video_windows(paths[index], ExtractionOptions(), size=32))
        assert [w.start_frame for w in found] == [w.start_frame for w in expected]
        assert all(
            (a.clip == b.clip).all() for a, b in zip(found, expected, strict=True)
        )
    assert [ends[i].status for i in range(4)] == ["ok", "failed", "ok", "ok"]
    assert "cannot be opened" in ends[1].reason
    assert (ends[2].info.fps, ends[2].info.num_frames) == (20.0, 40)


def test_videos_without_a_face(paths, bright_faces):
    windows, ends = collect(paths, crop_face=True)
    assert set(windows) == {0, 2}
    assert ends[3].status == "no_face"
    assert ends[3].reason == "no face was found in its 10 frames"
