import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lightly_marlin.faces.landmarks import head_pose
from lightly_marlin.faces.landmarks.head_pose import head_poses


def _project(yaw, pitch, roll, scale=2.0, shift=(100.0, 80.0)):
    """Landmarks (1, 68, 2) of the turned model, rotated by scipy, axis by axis.

    x is to the right, y down and z away: a positive turn about y, by the right-hand
    rule, takes the nose (at -z) to the left, and a positive one about x downwards.
    """
    turn = Rotation.from_euler("YXZ", [-yaw, -pitch, roll], degrees=True)
    landmarks = np.full((1, 68, 2), np.pi)
    points = turn.apply(head_pose._POINTS)[:, :2]
    landmarks[0, head_pose._INDICES] = scale * points + shift
    return landmarks


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-179, 179),
    st.floats(-88, 88),
    st.floats(-179, 179),
    st.floats(0.05, 40),
)
def test_projected_angles_are_recovered(yaw, pitch, roll, scale):
    poses = head_poses(_project(yaw, pitch, roll, scale))
    np.testing.assert_allclose(poses[0], (yaw, pitch, roll), atol=0.02)


def test_signs_are_those_of_the_picture():
    """Seen in the landmarks themselves, not through a rotation matrix."""
    tip, base, root = 30, 33, 27
    straight = _project(0, 0, 0)[0]
    right = _project(20, 0, 0)[0]
    assert (right[tip] - right[base])[0] > (straight[tip] - straight[base])[0] + 5
    up = _project(0, 20, 0)[0]
    assert (up[tip] - up[base])[1] < (straight[tip] - straight[base])[1] - 5
    clockwise = _project(0, 0, 20)[0]
    assert clockwise[root][0] > clockwise[base][0] + 5


def test_a_mirrored_face_looks_the_other_way():
    landmarks = _project(25, 8, -6)
    swapped = landmarks.copy()
    pairs = ((31, 35), (36, 45), (39, 42))
    for left, right in pairs:
        swapped[:, [left, right]] = landmarks[:, [right, left]]
    swapped[..., 0] *= -1
    np.testing.assert_allclose(head_poses(swapped)[0], (-25, 8, 6), atol=1e-3)


def test_frames_are_independent_and_noise_is_small():
    rng = np.random.default_rng(0)
    yaws = np.linspace(-60, 60, 40)
    faces = np.concatenate([_project(yaw, 5, 3) for yaw in yaws])
    noisy = head_poses(faces + rng.normal(scale=1.0, size=faces.shape))
    assert np.abs(noisy - np.stack([yaws, yaws * 0 + 5, yaws * 0 + 3], 1)).max() < 6
    np.testing.assert_array_equal(head_poses(faces)[7:9], head_poses(faces[7:9]))


def test_degenerate_landmarks_look_straight():
    assert head_poses(np.zeros((0, 68, 2))).shape == (0, 3)
    line = np.zeros((2, 68, 2))
    line[1, :, 0] = np.arange(68)
    np.testing.assert_array_equal(head_poses(line), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("landmarks", "text"),
    [
        (np.zeros((68, 2)), r"Invalid shape of landmarks \(68, 2\)"),
        (np.full((1, 68, 2), np.inf), "must be finite"),
    ],
)
def test_invalid_input_is_named(landmarks, text):
    with pytest.raises(ValueError, match=text):
        head_poses(landmarks)
