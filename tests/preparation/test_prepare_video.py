import os
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from PIL import Image

from lightly_marlin.faces import find_faces
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.preparation.prepare_video import PreparationOptions, prepare_video
from lightly_marlin.preparation.video_files import VideoFile
from lightly_marlin.store import FaceStore
from lightly_marlin.video import write_video


@pytest.fixture
def portrait():
    """The astronaut's head, (240, 240, 3) uint8; the face fills 90 pixels."""
    return np.ascontiguousarray(skimage.data.astronaut()[:240, 100:340])


def test_crops_show_the_frames_that_the_index_names(tmp_path, fake_faces):
    """The grey level tells the number of a frame, through B-frames and two passes."""
    numbers = np.arange(70)
    # The fake finder sees a face above a level of 105: from frame 24 on.
    levels = np.where(numbers < 24, 4 * numbers, 112 + 12 * (numbers % 12))
    path = tmp_path / "a.mp4"
    write_video(path, [np.full((96, 128, 3), level, np.uint8) for level in levels])
    with av.open(str(path)) as container:
        kinds = {frame.pict_type for frame in container.decode(video=0)}
    assert av.video.frame.PictureType.B in kinds
    prepare_videos(path, tmp_path / "store", num_workers=0)
    (track,) = FaceStore(tmp_path / "store")
    assert (track.start_frame, track.num_frames) == (24, 46)
    shown = track.frames.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(shown, levels[24:], atol=5)
    clip = track.read_video(range(5, 37, 2)).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(clip, levels[29:61:2], atol=5)


@pytest.mark.parametrize("align_eyes", [False, True])
def test_source_landmarks_come_back_from_upright_and_turned_crops(
    tmp_path, portrait, align_eyes
):
    tilted = np.asarray(Image.fromarray(portrait).rotate(20, center=(122, 122)))
    path = tmp_path / "a.mkv"
    write_video(path, [tilted] * 18, codec="ffv1", pixel_format="yuv444p")
    prepare_videos(path, tmp_path / "store", num_workers=0, align_eyes=align_eyes)
    (track,) = FaceStore(tmp_path / "store")
    (expected,) = find_faces([tilted] * 18)
    landmarks = track.read_landmarks(range(18), in_source=True)
    np.testing.assert_allclose(landmarks, expected.landmarks, atol=3)
    eyes = track.landmarks[:, 42:48].mean(1) - track.landmarks[:, 36:42].mean(1)
    tilt = np.rad2deg(np.arctan2(eyes[:, 1], eyes[:, 0]))
    np.testing.assert_allclose(tilt, 0 if align_eyes else -20, atol=4)
    np.testing.assert_allclose(
        np.rad2deg(track.angles), -20 if align_eyes else 0, atol=4
    )


def test_the_detector_is_the_one_that_is_asked_for(tmp_path, portrait):
    picture = Image.fromarray(portrait)
    tilted = np.asarray(picture.rotate(55, center=(122, 122)))[30:214, 30:214]
    path, store = tmp_path / "a.mkv", tmp_path / "store"
    write_video(path, [np.ascontiguousarray(tilted)] * 18, codec="ffv1")
    summary = prepare_videos(path, store, num_workers=0, detector="hog")
    assert [record.status for record in summary.records] == ["no_face"]
    # Another detector is another question, so the video is done again.
    summary = prepare_videos(path, store, num_workers=0)
    assert [record.status for record in summary.records] == ["ok"]
    assert summary.num_finished_before == 0


def open_files(folder):
    paths = [Path(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    links = [os.readlink(path) for path in paths if os.path.islink(path)]
    return [link for link in links if link.startswith(str(folder))]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="lists open files")
def test_files_are_closed_when_a_parser_fails(tmp_path, fake_faces, make_frames):
    path, folder = tmp_path / "a.mp4", tmp_path / "out"
    write_video(path, make_frames(40))
    folder.mkdir()
    seen = []

    def parser(frames, boxes):
        seen.append(open_files(tmp_path))
        raise ArithmeticError

    options = PreparationOptions(parser=parser)
    with pytest.raises(ArithmeticError) as caught:
        prepare_video(VideoFile(path, "a.mp4"), folder, options)
    assert len(seen[0]) >= 2
    # The error still holds the frames, and with them everything that was open.
    assert caught.value.__traceback__ is not None
    assert open_files(tmp_path) == []
