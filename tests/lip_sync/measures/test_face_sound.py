"""Face and sound of a file: on one clock, wherever they begin."""

import numpy as np
import pytest

from lightly_marlin.audio.reader import AudioError
from lightly_marlin.demo.clips import talking_clips
from lightly_marlin.faces.crop import crop_face
from lightly_marlin.lip_sync import (
    TalkingFace,
    placed_face,
    shift_sound,
    talking_face,
)
from lightly_marlin.video import VideoError, iter_frames, write_video

BLACK = 10


@pytest.fixture(scope="module")
def clip():
    (clip,) = talking_clips(num_clips=1, num_frames=40)
    return clip


@pytest.fixture(scope="module")
def video(clip, tmp_path_factory):
    """A face that appears after ten black frames, with its sound."""
    path = tmp_path_factory.mktemp("video") / "late.mp4"
    black = np.zeros((BLACK, *clip.frames.shape[1:]), np.uint8)
    silence = np.zeros(640 * BLACK, np.float32)
    frames = np.concatenate([black, clip.frames])
    write_video(path, frames, 25, audio=np.concatenate([silence, clip.samples]))
    return path


def test_talking_face__begins_where_the_face_does(clip, video):
    face = talking_face(video, size=64)
    first = round(25 * face.start)
    assert BLACK <= first <= BLACK + 5
    count = len(face.frames)
    assert count == BLACK + 40 - first
    assert face.frames.shape == (count, 64, 64, 3)
    assert face.samples.shape == (640 * count,)
    expected = clip.samples[640 * (first - BLACK) :]
    assert np.corrcoef(face.samples, expected)[0, 1] > 0.95


def test_placed_face__tells_where_the_crops_are(video):
    placed = placed_face(video, size=64, max_seconds=0.2)
    first = round(25 * placed.face.start)
    frames = list(iter_frames(video))
    assert len(placed.boxes) == len(placed.angles) == 5
    for index, (box, angle) in enumerate(zip(placed.boxes, placed.angles, strict=True)):
        crop = crop_face(frames[first + index], box, 64, float(angle))
        np.testing.assert_array_equal(placed.face.frames[index], crop)
    assert placed.duration == pytest.approx((BLACK + 40) / 25)


def test_talking_face__reads_no_more_than_asked(video):
    face = talking_face(video, size=32, max_seconds=0.5)
    assert len(face.frames) == 12
    assert len(face.samples) == 640 * 12


def test_talking_face__at_half_the_rate_frames_repeat(clip, tmp_path):
    path = tmp_path / "slow.mp4"
    write_video(path, clip.frames[::2], 12.5, audio=clip.samples)
    face = talking_face(path, size=32)
    assert len(face.frames) == 40
    same = [(a == b).all() for a, b in zip(face.frames, face.frames[1:], strict=False)]
    assert sum(same) == 20


def test_talking_face__without_sound_or_face(clip, tmp_path):
    mute, early, nobody = (tmp_path / f"{name}.mp4" for name in ("m", "e", "n"))
    write_video(mute, clip.frames[:20], 25)
    with pytest.raises(AudioError, match="has no audio stream"):
        talking_face(mute)
    black = np.zeros((20, *clip.frames.shape[1:]), np.uint8)
    write_video(nobody, black, 25, audio=clip.samples[: 20 * 640])
    with pytest.raises(VideoError, match="no face was found"):
        talking_face(nobody)
    frames = np.concatenate([black, clip.frames[:20]])
    write_video(early, frames, 25, audio=clip.samples[: 5 * 640])
    with pytest.raises(VideoError, match="no sound while its main face is seen"):
        talking_face(early)


def test_shift_sound__positive_is_early():
    samples = np.random.default_rng(0).standard_normal(20 * 640).astype(np.float32)
    face = TalkingFace(np.zeros((20, 8, 8, 3), np.uint8), samples, 0.0)
    early, late = shift_sound(face, 3), shift_sound(face, -3)
    np.testing.assert_array_equal(early.samples[: 17 * 640], face.samples[3 * 640 :])
    assert not early.samples[17 * 640 :].any()
    np.testing.assert_array_equal(late.samples[3 * 640 :], face.samples[: 17 * 640])
    assert not late.samples[: 3 * 640].any()
    same = shift_sound(face, 0)
    np.testing.assert_array_equal(same.samples, face.samples)
