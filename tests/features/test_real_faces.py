"""The faces that features are of, found by the real detector on real clips."""

import av
import numpy as np
import pytest
from PIL import Image

from lightly_marlin.faces import crop_face
from lightly_marlin.features import ExtractionOptions, NoFaceError, video_windows
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.video import iter_frames, write_video

pytestmark = pytest.mark.real_data


def windows_of(path, **options):
    return list(video_windows(path, ExtractionOptions(crop_face=True, **options)))


@pytest.mark.parametrize(
    "options", [{}, {"all_faces": True}, {"align_eyes": True, "detector": "hog"}]
)
def test_crops_are_those_of_the_face_store(options, real_videos, tmp_path):
    """What a model was trained on is what it is asked about later."""
    video = real_videos / "multi_face_pair_01.mp4"
    prepare_videos(video, tmp_path / "store", num_workers=0, **options)
    store = FaceStore(tmp_path / "store")
    windows = windows_of(video, sample_rate=1, **options)
    assert {window.track for window in windows} == set(range(len(store)))
    frames = list(iter_frames(video))
    for window in windows:
        track = store[window.track]
        for place in range(window.num_frames):
            index = window.start_frame + place
            row = index - track.start_frame
            angle = float(track.angles[row])
            assert (angle != 0) == options.get("align_eyes", False)
            expected = crop_face(frames[index], track.boxes[row], angle=angle)
            assert np.array_equal(window.clip[place], expected)


@pytest.fixture
def portrait(real_data):
    """A face in a frame (360, 480, 3), and the same frame without it."""
    with Image.open(real_data / "images" / "single_01.jpg") as picture:
        face = picture.convert("RGB")
    face.thumbnail((480, 360))
    frame = np.full((360, 480, 3), 96, np.uint8)
    frame[: face.height, : face.width] = np.asarray(face)
    return frame, np.full_like(frame, 96)


def test_a_video_of_one_frame(portrait, tmp_path):
    write_video(tmp_path / "one.mp4", [portrait[0]])
    (window,) = windows_of(tmp_path / "one.mp4")
    assert (window.start_frame, window.num_frames) == (0, 1)
    write_video(tmp_path / "none.mp4", [portrait[1]])
    with pytest.raises(NoFaceError, match="no face was found in its 1 frames"):
        windows_of(tmp_path / "none.mp4")


def test_a_face_only_at_the_very_end(portrait, tmp_path):
    with_face, without = portrait
    write_video(tmp_path / "end.mp4", [without] * 90 + [with_face] * 5)
    (window,) = windows_of(tmp_path / "end.mp4")
    assert (window.start_frame, window.num_frames) == (90, 3)
    assert np.array_equal(window.clip[2], window.clip[15])


def test_a_phone_video_that_lies_on_its_side(portrait, tmp_path):
    lying = np.rot90(portrait[0], -1)
    with av.open(str(tmp_path / "phone.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = lying.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.set_display_rotation(90)
        for _ in range(8):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(lying), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    write_video(tmp_path / "upright.mp4", [portrait[0]] * 8)
    (window,) = windows_of(tmp_path / "phone.mp4")
    (upright,) = windows_of(tmp_path / "upright.mp4")
    assert np.abs(window.clip.astype(int) - upright.clip).mean() < 3
