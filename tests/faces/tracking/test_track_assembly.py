import dataclasses

import numpy as np
import pytest

from lightly_marlin.faces import Detection, FaceDetector
from lightly_marlin.faces.detection.sighting import Portrait
from lightly_marlin.faces.tracking.track_assembly import TrackAssembly
from lightly_marlin.faces.tracking.trajectory import Trajectory


class _NoEmbedder:
    def __call__(self, portrait):
        raise AssertionError("nothing to compare")


class _Judge(FaceDetector):
    """Sees a face in bright portraits."""

    def __init__(self):
        self.num_looks = 0

    def detect(self, images, *, expected=False):
        self.num_looks += len(images)
        face = Detection(np.array([20.0, 20, 130, 130]), 1.0)
        return [[face] if image.mean() > 100 else [] for image in images]


@pytest.fixture
def judge():
    return _Judge()


@pytest.fixture
def assembly(judge):
    options = {"min_frames": 16, "max_gap": 5, "check_every": 4, "align_eyes": False}
    return TrackAssembly(_NoEmbedder(), judge, **options)


@pytest.fixture
def make(frontal_landmarks):
    def make(count, detected, spread=0.005, start=0):
        points = np.tile(frontal_landmarks, (count, 1, 1)).astype(np.float32)
        scores = np.full(count, np.nan, np.float32)
        scores[list(detected)] = 1.0
        spreads = np.where(np.isnan(scores), np.nan, spread).astype(np.float32)
        return Trajectory(0, start, points, scores, spreads, frame_size=(224, 224))

    return make


def test_what_makes_a_face(assembly, make):
    assert len(assembly.faces([make(40, [0, 3, 6, 14, 22, 30, 38])]).trusted) == 1
    # Seen twice, and seen in the first frames only.
    assert assembly.faces([make(40, [0, 3])]) == ([], [])
    assert assembly.faces([make(80, [0, 3, 6])]) == ([], [])
    # Three frames leave no time to be seen three times.
    assert len(assembly.faces([make(3, [0, 2])]).trusted) == 1


@pytest.mark.parametrize(
    ("spread", "bright", "trusted", "looks"),
    [
        (0.029, 0, True, 0),
        (0.045, 0, False, 3),
        (0.045, 2, False, 3),
        (0.045, 3, True, 3),
        (0.055, 5, False, 0),
    ],
)
def test_portraits_decide_where_the_landmarks_are_in_doubt(
    assembly, judge, make, spread, bright, trusted, looks
):
    """Of five portraits, the first, the middle and the last are looked at."""
    images = [np.full((150, 150), 200 * (k < bright), np.uint8) for k in range(5)]
    portraits = tuple(Portrait(8 * k, image) for k, image in enumerate(images))
    face = make(40, [0, 3, 6, 14, 22, 30], spread=spread)
    found = assembly.faces([dataclasses.replace(face, portraits=portraits)])
    assert (len(found.trusted), len(found.untrusted)) == (trusted, not trusted)
    assert judge.num_looks == looks


def test_a_face_in_doubt_without_a_portrait_is_not_trusted(assembly, make):
    assert assembly.faces([make(40, [0, 3, 6, 14, 22, 30], spread=0.045)]).untrusted


def test_tracks_carry_what_was_measured(assembly, make):
    (face,) = assembly.faces([make(20, [0, 4, 8])]).trusted
    (track,) = assembly.tracks([face])
    assert track.seen.tolist() == [True] * 13 + [False] * 7
    np.testing.assert_allclose(track.confidence[[0, 4, 8]], 0.9)
    assert np.isnan(track.confidence).sum() == 17
    assert (track.angles == 0).all()
    assert track.score == 1.0
    assert track.frame_size == (224, 224)


def test_short_faces_are_no_tracks(assembly, make):
    pieces = [make(15, [0, 4, 8]), make(16, [0, 4, 8], start=99)]
    faces = assembly.faces(pieces).trusted
    assert len(faces) == 2
    assert [t.start_frame for t in assembly.tracks(faces)] == [99]


def test_eyes_are_levelled_when_asked(make, frontal_landmarks):
    assembly = TrackAssembly(
        _NoEmbedder(), _Judge(), min_frames=1, max_gap=0, check_every=4, align_eyes=True
    )
    face = make(20, range(0, 20, 4))
    angle = 0.3
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = ((face.landmarks - 112) @ turn + 112).astype(np.float32)
    tilted = dataclasses.replace(face, landmarks=turned)
    (track,) = assembly.tracks([tilted])
    np.testing.assert_allclose(track.angles, angle, atol=1e-3)
