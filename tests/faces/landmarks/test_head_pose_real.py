"""Poses of photographed faces, through dlib's landmarks."""

import itertools

import numpy as np
import pytest

from lightly_marlin.faces import DlibDetector, DlibLandmarks, find_faces
from lightly_marlin.faces.landmarks.head_pose import head_poses
from lightly_marlin.faces.luma import luma_plane
from lightly_marlin.video import iter_frames


def _pose(picture):
    plane, _ = luma_plane(picture, 1000)
    detection = max(DlibDetector()(plane), key=lambda found: found.score)
    return head_poses(DlibLandmarks()(plane, detection.box[None]))[0]


def test_a_portrait_and_its_mirror_image(portrait):
    """She looks into the camera."""
    pose = _pose(portrait)
    assert np.abs(pose).max() < 15
    flipped = _pose(np.ascontiguousarray(portrait[:, ::-1]))
    np.testing.assert_allclose(flipped, pose * (-1, 1, -1), atol=6)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("talking_head_profile_01.mp4", -60, -35),
        ("talking_head_01.mp4", -45, -20),
        ("face_leaves_frame_pan_01.mp4", 12, 35),
        ("lipsync_audio_01.mpg", -10, 10),
    ],
)
def test_where_people_look(real_videos, name, low, high):
    frames = itertools.islice(iter_frames(real_videos / name), 50)
    (track,) = find_faces(frames)
    yaw, pitch, roll = np.median(head_poses(track.landmarks), axis=0)
    assert low < yaw < high
    assert abs(pitch) < 20
    assert abs(roll) < 20
