import numpy as np
import pytest

from lightly_marlin.demo.clips import demo_clips, demo_frames, talking_clips
from lightly_marlin.demo.speech import speech, speech_opening
from lightly_marlin.faces import find_faces


@pytest.fixture(scope="module")
def clips():
    return list(demo_clips(num_clips=2, num_frames=20))


def test_clips_have_the_asked_for_shape(clips):
    assert [clip.name for clip in clips] == ["demo_00", "demo_01"]
    for clip in clips:
        assert clip.frames.shape == (20, 320, 320, 3)
        assert clip.frames.dtype == np.uint8
        assert clip.fps == 25.0


def test_the_same_seed_makes_the_same_clip(clips):
    again = demo_frames(1, num_frames=20)
    np.testing.assert_array_equal(again, clips[1].frames)


def test_a_longer_clip_begins_like_a_shorter_one(clips):
    np.testing.assert_array_equal(demo_frames(0, num_frames=5), clips[0].frames[:5])


def test_clips_and_seeds_differ(clips):
    first = clips[0].frames[:2].astype(int)
    for other in (clips[1].frames[:2], demo_frames(0, num_frames=2, seed=1)):
        assert np.abs(first - other).mean() > 10


def test_motion_is_there_and_is_moderate(clips):
    for clip in clips:
        steps = np.abs(np.diff(clip.frames.astype(int), axis=0)).mean(axis=(1, 2, 3))
        assert 0.5 < steps.mean() < 8
        assert steps.max() < 15


def test_the_pipeline_finds_the_face_in_every_frame(clips):
    for clip in clips:
        (track,) = find_faces(clip.frames)
        assert track.num_frames == 20
        # The crop is 1.7 times the face, which fills at least 40 % of the width.
        assert track.size > 0.4 * 1.7 * 320


def test_other_sizes_show_the_same_view(clips):
    wide = demo_frames(0, num_frames=1, size=(160, 240))
    assert wide.shape == (1, 160, 240, 3)
    middle = wide[0, :, 40:200].astype(int)
    half = clips[0].frames[0].reshape(160, 2, 160, 2, 3).mean(axis=(1, 3))
    assert np.abs(middle - half).mean() < 6


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_frames": 0}, "Invalid num_frames 0"),
        ({"size": (320, 32)}, "Invalid width 32: must be at least 64"),
        ({"seed": -1}, "Invalid seed -1"),
    ],
)
def test_invalid_options_are_named(options, text):
    with pytest.raises(ValueError, match=text):
        demo_frames(0, **options)


def test_a_negative_number_of_clips_is_rejected():
    with pytest.raises(ValueError, match="Invalid num_clips -1"):
        next(demo_clips(-1))
    with pytest.raises(ValueError, match="Invalid num_clips -1"):
        next(talking_clips(-1))


@pytest.fixture(scope="module")
def talking():
    return list(talking_clips(num_clips=2, num_frames=30))


def test_talking_clips_have_their_sound(talking):
    assert [clip.name for clip in talking] == ["talking_00", "talking_01"]
    for index, clip in enumerate(talking):
        assert clip.frames.shape == (30, 320, 320, 3)
        np.testing.assert_array_equal(clip.samples, speech(index, 30))
        np.testing.assert_array_equal(clip.opening, speech_opening(index, 30))


def test_talking_clips_differ_from_others_by_the_mouth_alone(talking, clips):
    for clip, other in zip(talking, clips, strict=True):
        change = np.abs(clip.frames[:20].astype(int) - other.frames).mean(axis=(0, 3))
        assert change[:100].max() < 0.1 * change.max()


def test_talking_clips_show_the_opening(talking):
    """The distance of the lips that the pipeline finds follows the curve."""
    for clip in talking:
        (track,) = find_faces(clip.frames)
        gap = np.linalg.norm(track.landmarks[:, 66] - track.landmarks[:, 62], axis=-1)
        assert np.corrcoef(gap, clip.opening)[0, 1] > 0.8
