"""Names of the objectives, and reader of sets such as `pixels=1 latent=0.1`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from lightly_marlin.utils.errors import UsageError

__all__ = ["DECODING", "OBJECTIVES", "read_objectives"]

OBJECTIVES = {
    "pixels": "pixels of the masked tokens, as in MARLIN",
    "norm_pixels": "the same, with the pixels of each token normalised",
    "motion": "first frame of each token and differences to it, normalised",
    "adversarial": "score of the predicted pixels by a critic, as in MARLIN",
    "latent": "a teacher's tokens at the masked positions, in V-JEPA's manner",
    "instance": "agreement with the teacher's view of the clip, in FSFM's manner",
    "histograms": "histograms of gradients (HOG) of the masked tokens, as in MaskFeat",
    "visible_histograms": "the same of the visible tokens",
    "contrast": "contrast of two clips of each track, as in SimCLR",
}
"""Target of each objective by name, in the order in which they are prepared and
added."""

DECODING = ("pixels", "norm_pixels", "motion")
"""Objectives that train the decoder to output pixels; one at a time."""


def read_objectives(text: str) -> dict[str, float]:
    """Reads weights by name.

    Args:
        text: Pairs NAME=WEIGHT, separated by spaces or commas.

    Returns:
        The weights above 0, in the order of `OBJECTIVES`.

    Raises:
        UsageError: If the text cannot be read, or the objectives exclude each other.
    """
    weights: dict[str, float] = {}
    for pair in filter(None, re.split(r"[\s,]+", text)):
        name, _, number = pair.partition("=")
        if name not in OBJECTIVES:
            raise UsageError(
                f"Invalid objective {name!r}. Supported names are "
                f"{', '.join(OBJECTIVES)}."
            )
        if name in weights:
            raise UsageError(f"The objective {name} is given twice.")
        weights[name] = _weight(pair, number)
    used = {name: weights[name] for name in OBJECTIVES if weights.get(name, 0) > 0}
    _check(used)
    return used


def _weight(pair: str, number: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise UsageError(
            f"Invalid objective {pair!r}: write NAME=WEIGHT with a weight of 0 or more."
        )
    return weight


def _check(weights: Mapping[str, float]) -> None:
    if not weights:
        raise UsageError("The objectives are empty: give one a weight above 0.")
    decoding = [name for name in DECODING if name in weights]
    if len(decoding) > 1:
        raise UsageError(
            f"The objectives {' and '.join(decoding)} exclude each other: the decoder "
            "has one output. Choose one."
        )
    if "adversarial" in weights and not decoding:
        raise UsageError(
            "The objective adversarial needs pixels, norm_pixels or motion: the critic "
            "compares predicted pixels with true ones."
        )
