from lightly_marlin.faces import CELEBAMASK_HQ, CELEBAMASK_HQ_DATASET, mirrored
from lightly_marlin.regions import Label

# Transcribed from the label lists of the two repositories that the table names.
_USUAL = {
    Label.SKIN: {1, 6, 7, 8},
    Label.LEFT_EYEBROW: {2},
    Label.RIGHT_EYEBROW: {3},
    Label.LEFT_EYE: {4},
    Label.RIGHT_EYE: {5},
    Label.NOSE: {10},
    Label.INNER_MOUTH: {11},
    Label.UPPER_LIP: {12},
    Label.LOWER_LIP: {13},
    Label.HAIR: {17},
    Label.BACKGROUND: {0, 9, 14, 15, 16, 18},
}
_DATASET = {
    Label.SKIN: {1, 3, 8, 9},
    Label.LEFT_EYEBROW: {6},
    Label.RIGHT_EYEBROW: {7},
    Label.LEFT_EYE: {4},
    Label.RIGHT_EYE: {5},
    Label.NOSE: {2},
    Label.INNER_MOUTH: {10},
    Label.UPPER_LIP: {11},
    Label.LOWER_LIP: {12},
    Label.HAIR: {13},
    Label.BACKGROUND: {0, 14, 15, 16, 17, 18},
}


def _classes(table):
    return {
        label: {index for index, value in enumerate(table) if value == label}
        for label in Label
    }


def test_the_two_orders_of_celebamask_hq():
    assert _classes(CELEBAMASK_HQ) == _USUAL
    assert _classes(CELEBAMASK_HQ_DATASET) == _DATASET


def test_mirrored_exchanges_the_sides_only():
    table = mirrored(CELEBAMASK_HQ)
    changed = [i for i in range(19) if table[i] != CELEBAMASK_HQ[i]]
    assert changed == [2, 3, 4, 5]
    assert table[2] == Label.RIGHT_EYEBROW
    assert table[5] == Label.LEFT_EYE
    assert mirrored(table) == CELEBAMASK_HQ
