import numpy as np
import pytest

from lightly_marlin.faces.detection.sighting import Portrait
from lightly_marlin.faces.tracking.people import PeopleTeller
from lightly_marlin.faces.tracking.trajectory import Trajectory


def _embed(portrait):
    """Grey levels are people: 40 levels apart is another one."""
    return np.array([portrait.mean() / 50.0, 0.0])


def _face(start, count, portraits=(), touches=()):
    landmarks = np.zeros((count, 68, 2), np.float32)
    pictures = tuple(
        Portrait(index, np.full((150, 150), level, np.uint8))
        for index, level in portraits
    )
    scores = np.zeros(count, np.float32)
    return Trajectory(1, start, landmarks, scores, portraits=pictures, touches=touches)


@pytest.fixture
def teller():
    return PeopleTeller(_embed)


def test_two_that_meet_and_stay_themselves_are_not_parted(teller):
    face = _face(0, 30, [(0, 100), (12, 102), (20, 99)], touches=(13, 14, 15))
    assert [piece.num_frames for piece in teller.part(face)] == [30]


def test_a_follower_that_changed_person_is_parted_where_they_met(teller):
    face = _face(5, 30, [(0, 100), (10, 100), (20, 200), (28, 200)], (13, 14, 15))
    first, second = teller.part(face)
    assert (first.start, first.end, second.start, second.end) == (5, 20, 20, 35)
    assert [one.index for one in first.portraits] == [0, 10]
    assert [one.index for one in second.portraits] == [5, 13]


def test_without_a_touch_nobody_is_parted(teller):
    assert len(teller.part(_face(0, 30, [(0, 100), (20, 200)]))) == 1


def test_pieces_are_joined_by_their_faces(teller):
    end, same, other = (_face(0, 5, [(0, level)]) for level in (100, 110, 200))
    assert teller.may_be_same(end, same)
    assert not teller.may_be_same(end, other)
    assert teller.may_be_same(end, _face(0, 5))


def test_a_person_who_comes_back_keeps_the_number(teller):
    faces = [
        _face(40, 10, [(0, 200)]),
        _face(0, 20, [(0, 100), (9, 104)]),
        _face(60, 20, [(0, 103)]),
        _face(90, 20),
    ]
    assert teller.people(faces) == [1, 0, 0, 2]


def test_faces_at_the_same_time_are_two_people_however_alike(teller):
    twins = [_face(0, 20, [(0, 100)]), _face(19, 20, [(0, 100)])]
    assert teller.people(twins) == [0, 1]
    one_after_the_other = [twins[0], _face(20, 20, [(0, 100)])]
    assert teller.people(one_after_the_other) == [0, 0]
    assert teller.people([]) == []
    assert teller.people(twins[:1]) == [0]
