import pytest

from lightly_marlin.video.oddities import Oddities


def look_at(*frames):
    oddities = Oddities()
    for size, transfer in frames:
        oddities.look_at(size, transfer)
    return oddities


def test_oddities__nothing_is_odd():
    assert look_at().notes(0) == []
    assert look_at(((4, 3), 1), ((4, 3), 1)).notes(0) == []


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_oddities__hdr(transfer, name):
    """Said once, also where only a part of the frames is."""
    notes = look_at(((4, 3), 1), ((4, 3), transfer), ((4, 3), 1)).notes(0)
    assert notes == [f"its colours are HDR ({name}), not tone-mapped"]


def test_oddities__sizes():
    one, other = ((4, 3), 1), ((3, 4), 1)
    assert look_at(one, other, other, one).notes(2) == [
        "2 damaged packets were skipped",
        "the size of its frames changes 2 times (4x3, 3x4 pixels)",
    ]


def test_oddities__many_sizes():
    (note,) = look_at(*(((side, side), 1) for side in range(1, 9))).notes(0)
    assert note == (
        "the size of its frames changes 7 times (1x1, 2x2, 3x3, 4x4, ... pixels)"
    )
