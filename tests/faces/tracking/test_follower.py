import numpy as np
import pytest

from lightly_marlin.faces.detection.dlib_models import DlibDetector, DlibLandmarks
from lightly_marlin.faces.luma import luma_plane
from lightly_marlin.faces.tracking.follower import FaceFollower, FaceTools


def _counted(follower):
    return sum(sighting.score is not None for sighting in follower.sightings)


@pytest.fixture
def plane(portrait):
    return luma_plane(portrait, 1440)[0]


def test_detections_are_counted_as_they_come_and_go(plane):
    tools = FaceTools(DlibDetector(), DlibLandmarks())
    face = tools.detector(plane)[0]
    follower = FaceFollower(tools, plane, face, check_every=3, max_unseen=8)
    assert (follower.num_detected, _counted(follower)) == (1, 1)
    for _ in range(5):
        assert follower.step(plane)
    assert follower.num_detected == _counted(follower) == 2
    for _ in range(2):
        # The second one confirms what is known already.
        follower.confirm(plane, face)
        assert follower.num_detected == _counted(follower) == 3
    follower.forget_last()
    assert follower.num_detected == _counted(follower) == 2
    # A covered face makes the follower go back over the frames since.
    covered = np.full_like(plane, 90)
    while follower.step(covered):
        assert follower.num_detected == _counted(follower)
    assert follower.num_detected == _counted(follower) == 2


def test_a_calm_face_is_fitted_in_every_second_frame(plane, monkeypatch):
    tools = FaceTools(DlibDetector(), DlibLandmarks())
    face = tools.detector(plane)[0]
    follower = FaceFollower(tools, plane, face, check_every=8, max_unseen=8)
    fitted = []
    fit = follower._fitter.fit
    monkeypatch.setattr(
        follower._fitter, "fit", lambda *a, **k: fitted.append(1) or fit(*a, **k)
    )
    for step in range(40):
        # Two pixels to and fro: between two fits the face is in the middle.
        moved = np.roll(plane, step % 2 * 2, axis=1)
        assert follower.step(moved)
    assert len(follower.sightings) == 41
    assert 15 <= len(fitted) <= 32
    points = np.stack([sighting.landmarks for sighting in follower.sightings])
    assert np.abs(points - points.mean(axis=0)).max() < 6


def test_a_face_that_moves_is_fitted_in_every_frame(plane, monkeypatch):
    tools = FaceTools(DlibDetector(), DlibLandmarks())
    face = tools.detector(plane)[0]
    follower = FaceFollower(tools, plane, face, check_every=8, max_unseen=8)
    frames = [np.roll(plane, 4 * step, axis=1) for step in range(1, 25)]
    for frame in frames:
        assert follower.step(frame)
    noses = np.array([sighting.landmarks[30, 0] for sighting in follower.sightings])
    np.testing.assert_allclose(np.diff(noses), 4, atol=2.5)
