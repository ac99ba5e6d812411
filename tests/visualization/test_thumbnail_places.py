"""Places for thumbnails: beside dots and each other, fairly shared."""

import numpy as np

from lightly_marlin.visualization.thumbnail_places import place_thumbnails

BOX = np.array([[0.0, 0.0], [900.0, 900.0]])
SIDE = 60


def test_place_thumbnails__covers_neither_dots_nor_thumbnails():
    places = np.random.default_rng(0).uniform(100, 800, (40, 2))
    centers = place_thumbnails(places, [0] * 40, BOX, SIDE)
    assert len(centers) > 10
    found = np.array([*centers.values()])
    to_dots = np.abs(found[:, None] - places).max(axis=-1)
    assert to_dots.min() > SIDE / 2
    apart = np.abs(found[:, None] - found).max(axis=-1)
    assert apart[~np.eye(len(found), dtype=bool)].min() > SIDE
    assert found.min() > SIDE / 2
    assert found.max() < 900 - SIDE / 2


def test_place_thumbnails__every_group_comes_before_any_second_dot():
    places = np.full((201, 2), 450.0)
    centers = place_thumbnails(places, [0] * 200 + [1], BOX, SIDE)
    assert [*centers][:2] == [0, 200]


def test_place_thumbnails__no_room():
    y, x = np.mgrid[:900:15, :900:15]
    places = np.stack([x.ravel(), y.ravel()], axis=-1).astype(float)
    assert place_thumbnails(places, [0] * len(places), BOX, SIDE) == {}
