import re

import av
import numpy as np
import pytest

from lightly_marlin.preparation.video_faces import NoFaceError, find_video_faces
from lightly_marlin.store import CropOptions
from lightly_marlin.video import VideoError, write_video


class Finder:
    """Notes what it is asked and given."""

    longest = 7
    longest_untrusted = 0
    made = None

    def __init__(self, **options):
        self.options = options
        self.planes = []
        Finder.made = self

    def update(self, plane):
        self.planes.append(plane)

    def finish(self):
        return ["track"]


@pytest.fixture(autouse=True)
def _finder(monkeypatch):
    monkeypatch.setattr("lightly_marlin.faces.FaceFinder", Finder)


@pytest.fixture
def video(tmp_path, make_frames):
    frames = make_frames(9, 48, 64)
    write_video(tmp_path / "a.mkv", frames, 20.0, codec="ffv1", pixel_format="yuv444p")
    return tmp_path / "a.mkv"


def test_what_is_found(video):
    found = find_video_faces(video, min_frames=3)
    assert (found.tracks, found.longest) == (["track"], 7)
    assert (found.num_frames, found.notes, found.note) == (9, (), None)
    assert (found.size, found.fps) == ((64, 48), 20.0)
    np.testing.assert_array_equal(found.seconds, np.arange(9) / 20)


@pytest.mark.parametrize(
    ("longest", "untrusted", "error", "message"),
    [
        (0, 0, NoFaceError, "no face was found in its 9 frames"),
        (0, 2, NoFaceError, "for 2 frames, but its landmarks were not trusted"),
        (0, 9, NoFaceError, "for 9 frames, but its landmarks were not trusted"),
        (2, 7, NoFaceError, "for 7 frames, but its landmarks were not trusted"),
        (2, 1, VideoError, "longest face track has 2 frames; 3 are needed"),
    ],
)
def test_why_there_is_no_track(video, monkeypatch, longest, untrusted, error, message):
    monkeypatch.setattr(Finder, "longest", longest)
    monkeypatch.setattr(Finder, "longest_untrusted", untrusted)
    monkeypatch.setattr(Finder, "finish", lambda self: [])
    found = find_video_faces(video, min_frames=3)
    with pytest.raises(error, match=message) as caught:
        found.select()
    assert type(caught.value) is error


@pytest.mark.parametrize("all_faces", [False, True])
def test_the_finder_gets_luma_and_the_options(all_faces, video):
    options = {"min_face": 20, "detector": "hog", "align_eyes": True}
    crops = CropOptions(**options)
    find_video_faces(video, crops, min_frames=3, all_faces=all_faces)
    rest = {"min_frames": 3, "main_only": not all_faces}
    assert Finder.made.options == {**options, **rest}
    assert [plane.shape for plane in Finder.made.planes] == [(48, 64)] * 9


def test_damage_is_told(tmp_path, make_frames):
    path = tmp_path / "a.avi"
    write_video(path, make_frames(40), codec="mjpeg", pixel_format="yuvj420p")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        first, last = packets[10].pos + 8, packets[13].pos
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    found = find_video_faces(path, min_frames=1)
    assert re.fullmatch(r"[1-9]\d* damaged packets were skipped", found.note)


def test_no_video(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(VideoError, match="cannot be opened"):
        find_video_faces(tmp_path / "a.mp4", min_frames=1)
