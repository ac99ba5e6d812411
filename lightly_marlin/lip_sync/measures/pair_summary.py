"""Means of measures over pairs of videos, with intervals: the rows of the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median_low
from typing import NamedTuple

import numpy as np
import torch

from lightly_marlin.evaluation.metrics.intervals import mean_interval
from lightly_marlin.lip_sync.measures.pair_measures import PairRecord
from lightly_marlin.lip_sync.measures.picture_errors import PICTURE_MEASURES

__all__ = ["ROWS", "Mean", "MeasuredRow", "summarise_pairs"]

ROWS = {"real": "ground truth", "generated": "generated"}
"""Names of the rows, in their order."""

_OFFSETS = ("offset", "expert_offset")
# What a video is to itself.
_OF_ITSELF = dict.fromkeys(PICTURE_MEASURES, 0.0) | {"ssim_face": 1.0}


class Mean(NamedTuple):
    """A measure of a set of videos.

    Attributes:
        value: Mean over videos; of offsets, which any video without clear speech
            spoils, the median, of two in the middle the lower one.
        interval: 95 % interval; None with fewer than five videos, and for medians,
            distances of sets, and what is known by definition.
        videos: Number of videos.
    """

    value: float
    interval: tuple[float, float] | None
    videos: int


MeasuredRow = dict[str, Mean]


def summarise_pairs(
    records: Iterable[PairRecord], seed: int = 0
) -> dict[str, MeasuredRow]:
    """Summarises the pairs that could be measured.

    Args:
        records: Records of pairs; those with a reason are left out.
        seed: Seed of the bootstrap over videos.

    Returns:
        Measures by row, "real" and "generated", over the same videos. Picture measures
        of the real row are those of a video to itself: 0, or a similarity of 1.
    """
    measured = [record for record in records if not record.reason]
    rows: dict[str, MeasuredRow] = {}
    for row in ROWS:
        values: dict[str, dict[str, float]] = {}
        for record in measured:
            for name, value in getattr(record, row).items():
                values.setdefault(name, {})[record.name] = value
        rows[row] = {name: _mean(name, found, seed) for name, found in values.items()}
    for name, value in _OF_ITSELF.items():
        if name in rows["generated"]:
            videos = rows["generated"][name].videos
            rows["real"][name] = Mean(value, None, videos)
    return rows


def _mean(name: str, values: dict[str, float], seed: int) -> Mean:
    numbers: Sequence[float] = list(values.values())
    if name in _OFFSETS:
        return Mean(median_low(numbers), None, len(numbers))
    ends = mean_interval(
        torch.tensor(numbers, dtype=torch.float64), list(values), seed=seed
    )
    known = ends if np.isfinite(ends).all() else None
    return Mean(float(np.mean(numbers)), known, len(numbers))
