import numpy as np
import pytest

from lightly_marlin.faces.dlib_models import DlibDetector, DlibLandmarks
from lightly_marlin.faces.follower import FaceFollower, FaceTools
from lightly_marlin.faces.luma import luma_plane


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
