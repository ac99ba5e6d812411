import numpy as np

from lightly_marlin.faces.detection.search_schedule import SearchSchedule

CALM = np.full((24, 32), 100.0, np.float32)


def _searched(pictures, faces=(), shortest=4, longest=10):
    schedule = SearchSchedule(shortest, longest)
    return [index for index, cells in enumerate(pictures) if schedule.due(cells, faces)]


def test_a_calm_picture_is_searched_rarely():
    noise = np.random.default_rng(0).normal(0, 2, (25, 24, 32)).astype(np.float32)
    assert _searched(CALM + noise) == [0, 10, 20]


def test_a_picture_that_changes_is_searched_often():
    pictures = [CALM + 20 * index for index in range(10)]
    assert _searched(pictures) == [0, 4, 8]


def test_a_change_counts_from_the_last_search():
    # Too slow to be seen from one frame to the next.
    pictures = [CALM + 2 * index for index in range(14)]
    assert _searched(pictures) == [0, 6, 12]


def test_a_face_that_is_followed_may_move():
    pictures = [CALM.copy() for _ in range(10)]
    for index, cells in enumerate(pictures):
        cells[8:16, 10:16] += 30 * (index % 2)
    face = np.array([10 / 32, 8 / 24, 16 / 32, 16 / 24])
    assert _searched(pictures, [face]) == [0]
    assert _searched(pictures) == [0, 5]
    # The same movement elsewhere may be another face.
    assert _searched(pictures, [np.array([0.8, 0.0, 0.9, 0.1])]) == [0, 5]


def test_faces_may_reach_outside():
    face = np.array([-0.4, -0.2, 1.3, 1.6])
    assert _searched([CALM, *[CALM + 50] * 5], [face]) == [0]


def test_a_scene_starts_with_a_search():
    schedule = SearchSchedule(4, 10)
    assert schedule.due(CALM, [])
    assert not schedule.due(CALM, [])
    schedule.restart()
    assert schedule.due(CALM, [])
