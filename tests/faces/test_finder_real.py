"""Real clips: the hard ones, as short as they show what they are for."""

import av
import numpy as np
import pytest

from lightly_marlin.faces import find_faces

pytestmark = pytest.mark.real_data


def _frames(path, first, last):
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index >= last:
                return
            if index >= first:
                yield frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("talking_head_profile_01.mp4", 0, 40),
        ("expression_change_01.mp4", 100, 130),
        ("occlusion_hand_sign_01.mkv", 0, 40),
    ],
)
def test_a_face_that_turns_or_is_covered_is_followed(real_videos, name, first, last):
    (track,) = find_faces(_frames(real_videos / name, first, last))
    assert track.num_frames == last - first


def test_no_face(real_videos):
    assert find_faces(_frames(real_videos / "no_face_person_back_01.mp4", 0, 25)) == []


def test_a_cut_to_the_sky_ends_the_track(real_videos):
    frames = _frames(real_videos / "face_then_no_face_01.mov", 50, 85)
    (track,) = find_faces(frames)
    assert (track.start_frame, track.end_frame) == (0, 22)


def test_a_pair_that_tilts_their_heads_is_two_tracks(real_videos):
    tracks = find_faces(_frames(real_videos / "multi_face_pair_01.mp4", 0, 24))
    assert [track.num_frames for track in tracks] == [24, 24]


def test_a_fade_from_black(real_videos):
    frames = _frames(real_videos / "near_crop_fade_in_dark_01.mp4", 0, 27)
    (track,) = find_faces(frames)
    # A person sees the first hint of a face in frame 6, all of it in frame 10.
    assert 6 <= track.start_frame <= 11
    assert track.end_frame == 27


def test_the_crop_does_not_jitter(real_videos):
    path = real_videos / "talking_head_glasses_motion_01.mp4"
    (track,) = find_faces(_frames(path, 0, 40))
    centres = (track.boxes[:, :2] + track.boxes[:, 2:]) / 2
    jitter = np.linalg.norm(np.diff(centres, 2, axis=0), axis=1).mean()
    # Detection in every frame jitters by 0.1 face widths in this clip.
    assert jitter / (track.size / 1.7) < 0.025
