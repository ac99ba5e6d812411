import numpy as np

from lightly_marlin.faces.detection.cnn_schedule import CnnSchedule

BUSY = np.tile(np.array([[0, 200]], np.uint8).repeat(16, axis=1), (64, 4))


def _looks(planes, has_face=False, found=False):
    schedule = CnnSchedule()
    looks = []
    for index, plane in enumerate(planes):
        if schedule.due(plane, has_face=has_face):
            looks.append(index)
            schedule.looked(found=found)
    return looks


def test_the_wait_doubles_after_each_look_in_vain():
    assert _looks([BUSY] * 60) == [7, 23, 55]


def test_no_look_while_a_face_is_followed():
    assert _looks([BUSY] * 60, has_face=True) == []


def test_no_look_at_black_or_grey():
    assert _looks([np.full((64, 64), 90, np.uint8)] * 60) == []


def test_however_often_scenes_change_the_budget_holds():
    schedule = CnnSchedule()
    looks = 0
    for index in range(1500):
        if index % 10 == 0:
            schedule.restart()
        if schedule.due(BUSY, has_face=False):
            looks += 1
            schedule.looked(found=False)
    assert 8 <= looks <= 3 + 10


def test_a_face_in_between_starts_the_wait_anew():
    schedule = CnnSchedule()
    due = [schedule.due(BUSY, has_face=index == 4) for index in range(13)]
    assert due.index(True) == 12
