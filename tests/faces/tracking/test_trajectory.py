import numpy as np

from lightly_marlin.faces.detection.sighting import Sighting
from lightly_marlin.faces.tracking.trajectory import Trajectory, join_trajectories


def _piece(landmarks, start, count, *, scene=0, offset=0.0):
    points = np.tile(landmarks + offset, (count, 1, 1)).astype(np.float32)
    return Trajectory(scene, start, points, np.ones(count, np.float32))


def test_a_hole_is_filled_in_a_straight_line(frontal_landmarks):
    pieces = [
        _piece(frontal_landmarks, 10, 4, offset=8.0),
        _piece(frontal_landmarks, 0, 7),
    ]
    (joined,) = join_trajectories(pieces, max_gap=3)
    assert (joined.start, joined.end, joined.num_detected) == (0, 14, 11)
    path = joined.landmarks[6:11, 0, 0] - frontal_landmarks[0, 0]
    np.testing.assert_allclose(path, [0, 2, 4, 6, 8], atol=1e-4)
    assert np.isnan(joined.scores[7:10]).all()


def test_pieces_that_touch_are_joined(frontal_landmarks):
    pieces = [_piece(frontal_landmarks, 0, 5), _piece(frontal_landmarks, 5, 5)]
    assert [piece.num_frames for piece in join_trajectories(pieces, 0)] == [10]


def test_what_is_kept_apart(frontal_landmarks):
    first = _piece(frontal_landmarks, 0, 5)
    strangers = [
        _piece(frontal_landmarks, 9, 5),  # too late
        _piece(frontal_landmarks, 5, 5, scene=1),  # another scene
        _piece(frontal_landmarks, 5, 5, offset=150.0),  # elsewhere
        _piece(frontal_landmarks, 3, 5),  # at the same time
    ]
    for other in strangers:
        assert len(join_trajectories([first, other], max_gap=3)) == 2


def test_sightings_return_to_source_pixels(frontal_landmarks):
    sightings = [
        Sighting(np.zeros(4), frontal_landmarks.astype(np.float32), score)
        for score in (1.5, None)
    ]
    face = Trajectory.from_sightings(sightings, scene=0, start=3, scale=0.5)
    np.testing.assert_allclose(face.landmarks[0], 2 * frontal_landmarks + 0.5)
    assert face.num_detected == 1
    assert face.box_at(5) is None
    assert face.box_at(4) is not None
