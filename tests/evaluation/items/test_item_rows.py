import numpy as np
import pytest

from lightly_marlin.evaluation import LabelTable, Target
from lightly_marlin.evaluation.items.item_rows import (
    WHOLE,
    choose_rows,
    has_regular_row,
    stretch_of,
)
from lightly_marlin.features.feature_ledger import FeatureRow


def row(number, middle, track="t0", width=50.0, stretch=WHOLE):
    return FeatureRow(track, number, 0, middle, 16, middle, width, *stretch)


def numbers(rows, stretch=WHOLE, **options):
    return [found.row for found in choose_rows(rows, stretch, **options)]


LINE = [row(number, 0.6 + 1.28 * number) for number in range(4)]


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [
        (WHOLE, [0, 1, 2, 3]),
        ((0.0, 1.88), [0]),
        ((None, 1.89), [0, 1]),
        ((1.88, None), [1, 2, 3]),
        ((-1.0, 0.7), [0]),
        ((0.7, 0.8), []),
    ],
)
def test_choose__windows_whose_middle_is_inside(stretch, expected):
    assert numbers(LINE, stretch) == expected
    assert has_regular_row(LINE, stretch) == bool(expected)


def test_choose__own_windows_are_for_their_stretch_alone():
    own = [row(4, 0.75, stretch=(0.7, 0.8)), row(5, 0.74, stretch=(0.7, 0.78))]
    rows = [*LINE, *own]
    assert numbers(rows) == [0, 1, 2, 3]
    assert numbers(rows, (0.7, 0.8)) == [4]
    assert numbers(rows, (0.7, 0.78)) == [5]
    assert numbers(rows, (0.7, 1.0)) == []
    assert not has_regular_row(rows, (0.7, 0.8))


def test_choose__open_stretches_have_own_windows_too():
    rows = [*LINE, row(4, 0.1, stretch=(None, 0.2)), row(5, 9.0, stretch=(5.0, None))]
    assert numbers(rows, (None, 0.2)) == [4]
    assert numbers(rows, (5.0, None)) == [5]
    assert numbers(rows) == [0, 1, 2, 3]


def test_choose__regular_windows_of_another_track_come_first():
    rows = [row(0, 1.0, "t0"), row(1, 1.05, "t1", 500.0, stretch=(0.9, 1.1))]
    assert numbers(rows, (0.9, 1.1)) == [0]
    assert numbers(rows, (0.9, 1.1), all_faces=True) == [0]


TWO = [
    *(row(n, n, "t0", 50.0) for n in range(5)),
    *(row(5 + n, n, "t1", 70.0) for n in range(3)),
]


def test_choose__the_longest_and_largest_within_the_seconds():
    # 5 x 2500 against 3 x 4900, then 2 x 2500 against 1 x 4900, then 1 x 2500 against
    # 1 x 4900.
    assert numbers(TWO) == [5, 6, 7]
    assert numbers(TWO, (2.0, 4.0)) == [2, 3]
    assert numbers(TWO, (2.0, 3.0)) == [7]
    assert numbers(TWO, all_faces=True) == list(range(8))


def test_choose__equal_tracks_by_name_and_rows_by_number():
    rows = [row(1, 2.0, "b"), row(3, 1.0, "a"), row(2, 0.0, "a"), row(0, 0.0, "b")]
    assert numbers(rows) == [2, 3]
    assert numbers(rows[::-1], all_faces=True) == [0, 1, 2, 3]


def test_choose__whole_frames_have_no_width():
    rows = [row(n, n, width=None) for n in range(3)]
    assert numbers(rows, (1.0, None)) == [1, 2]
    assert numbers([], (1.0, None)) == []


def test_stretch_of():
    table = LabelTable.make(
        Target("binary", ("x",)),
        ["a", "b", "c"],
        [[0], [1], [1]],
        starts=[np.nan, 1.0, np.nan],
        ends=[np.nan, np.nan, 2.5],
    )
    stretches = [stretch_of(table, index) for index in range(3)]
    assert stretches == [(None, None), (1.0, None), (None, 2.5)]
