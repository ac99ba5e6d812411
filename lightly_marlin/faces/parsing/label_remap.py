"""Tables that map the classes of other data sets to the 11 LaPa labels.

CelebAMask-HQ has 19 classes, which are numbered in two ways: in the order in which the
data set's own code merges its masks [0], and in the order of face-parsing.PyTorch [1],
which most networks in use follow (BiSeNet and its successors).

| class | `CELEBAMASK_HQ` [1] | `CELEBAMASK_HQ_DATASET` [0] | label |
|---|---|---|---|
| background | 0 | 0 | background |
| skin | 1 | 1 | skin |
| l_brow, r_brow | 2, 3 | 6, 7 | left, right eyebrow |
| l_eye, r_eye | 4, 5 | 4, 5 | left, right eye |
| eye_g (glasses) | 6 | 3 | skin |
| l_ear, r_ear | 7, 8 | 8, 9 | skin |
| ear_r (earring) | 9 | 15 | background |
| nose | 10 | 2 | nose |
| mouth (its inside) | 11 | 10 | inner mouth |
| u_lip, l_lip | 12, 13 | 11, 12 | upper, lower lip |
| neck | 14 | 17 | background |
| neck_l (necklace) | 15 | 16 | background |
| cloth | 16 | 18 | background |
| hair | 17 | 13 | hair |
| hat | 18 | 14 | background |

LaPa counts ears as skin and labels the face behind glasses; where a network only sees
glasses, skin is the closest label. Left and right are those of the image, as in LaPa;
the data set does not specify them. For a network that uses the sides of the person, use
`mirrored`.

- [0]: https://github.com/switchablenorms/CelebAMask-HQ/tree/master/face_parsing
- [1]: https://github.com/zllrunning/face-parsing.PyTorch
"""

from __future__ import annotations

from collections.abc import Sequence

from lightly_marlin.regions import NUM_LABELS, Label

__all__ = ["CELEBAMASK_HQ", "CELEBAMASK_HQ_DATASET", "check_remap", "mirrored"]

_BY_NAME = {
    "background": Label.BACKGROUND,
    "skin": Label.SKIN,
    "l_brow": Label.LEFT_EYEBROW,
    "r_brow": Label.RIGHT_EYEBROW,
    "l_eye": Label.LEFT_EYE,
    "r_eye": Label.RIGHT_EYE,
    "eye_g": Label.SKIN,
    "l_ear": Label.SKIN,
    "r_ear": Label.SKIN,
    "ear_r": Label.BACKGROUND,
    "nose": Label.NOSE,
    "mouth": Label.INNER_MOUTH,
    "u_lip": Label.UPPER_LIP,
    "l_lip": Label.LOWER_LIP,
    "neck": Label.BACKGROUND,
    "neck_l": Label.BACKGROUND,
    "cloth": Label.BACKGROUND,
    "hair": Label.HAIR,
    "hat": Label.BACKGROUND,
}

CELEBAMASK_HQ: tuple[Label, ...] = tuple(_BY_NAME.values())
"""Labels of the 19 classes in the order of face-parsing.PyTorch, the usual one."""

_DATASET_ORDER = """
background skin nose eye_g l_eye r_eye l_brow r_brow l_ear r_ear mouth u_lip l_lip hair
hat ear_r neck_l neck cloth
"""

CELEBAMASK_HQ_DATASET: tuple[Label, ...] = tuple(
    _BY_NAME[name] for name in _DATASET_ORDER.split()
)
"""Labels of the 19 classes in the order of the data set's own code."""

_SIDES = {
    Label.LEFT_EYEBROW: Label.RIGHT_EYEBROW,
    Label.RIGHT_EYEBROW: Label.LEFT_EYEBROW,
    Label.LEFT_EYE: Label.RIGHT_EYE,
    Label.RIGHT_EYE: Label.LEFT_EYE,
}


def mirrored(remap: Sequence[int]) -> tuple[Label, ...]:
    """Returns a table with left and right swapped.

    Args:
        remap: LaPa label of each class.

    Returns:
        The table for a network whose left is that of the person, not of the image.
    """
    labels = [Label(label) for label in remap]
    return tuple(_SIDES.get(label, label) for label in labels)


def check_remap(remap: Sequence[int]) -> tuple[int, ...]:
    """Returns a table as plain integers.

    Args:
        remap: LaPa label in [0, 10] of each class, at least one.

    Raises:
        ValueError: If it is empty or holds anything but LaPa labels.
    """
    table = tuple(int(label) for label in remap)
    if not table or min(table) < 0 or max(table) >= NUM_LABELS:
        raise ValueError(
            f"Invalid remap {list(table)}: must name the LaPa label, in "
            f"[0, {NUM_LABELS - 1}], of each class."
        )
    return table
