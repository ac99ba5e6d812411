"""Identities: trajectories are split and numbered by person, using face embeddings.

Two faces that meet can swap their followers, and a face that returns after a while gets
a new trajectory. dlib's embedding of a few portraits decides both cases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.detection.sighting import Portrait, choose_portraits
from lightly_marlin.faces.tracking.trajectory import Trajectory
from lightly_marlin.utils.dependency import require

__all__ = ["PeopleTeller"]

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float64]]

# dlib's own limit for two pictures of one person is 0.6.
_SAME_PERSON = 0.6

# Means of several pictures are closer to each other than single ones.
_SAME_PERSON_MEAN = 0.55
_MAX_PORTRAITS = 5

# In complete linkage, two that must not be joined are further apart than any limit.
_APART = 1e3


class PeopleTeller:
    """Identifies people by the portraits of their trajectories."""

    def __init__(self, embed: Embed) -> None:
        """Stores the function that turns a portrait (150, 150) into a vector (128,)."""
        self._embed = embed
        self._known: dict[int, tuple[Portrait, NDArray[np.float64]]] = {}

    def part(self, trajectory: Trajectory) -> list[Trajectory]:
        """Splits a trajectory where it passed from one person to another.

        Args:
            trajectory: The trajectory, of which only the surroundings of touches are
                examined.

        Returns:
            The pieces; each portrait and the next across a touch are of one person.
        """
        cuts = [0]
        for before, after in pairwise(trajectory.portraits):
            touches = [
                index
                for index in trajectory.touches
                if before.index <= index < after.index
            ]
            if touches and self._distance(before, after) > _SAME_PERSON:
                cuts.append(touches[len(touches) // 2] + 1)
        cuts.append(trajectory.num_frames)
        return [
            trajectory.part(first, last)
            for first, last in pairwise(cuts)
            if last > first
        ]

    def may_be_same(self, earlier: Trajectory, later: Trajectory) -> bool:
        """Returns whether the end of one and the start of the other may be one person.

        True where one of them has no portrait.
        """
        if not earlier.portraits or not later.portraits:
            return True
        return self._distance(earlier.portraits[-1], later.portraits[0]) < _SAME_PERSON

    def people(self, trajectories: Sequence[Trajectory]) -> list[int]:
        """Numbers the people of a video.

        Args:
            trajectories: All trajectories of the video.

        Returns:
            One number per trajectory, from 0 in order of appearance. Trajectories that
            share a frame belong to different people; each one without a portrait counts
            as a separate person.
        """
        count = len(trajectories)
        if count < 2:
            return [0] * count
        means = [self._mean(one) for one in trajectories]
        distances = np.zeros((count, count))
        for i in range(count):
            for j in range(i):
                distances[i, j] = distances[j, i] = _gap(
                    (trajectories[i], means[i]), (trajectories[j], means[j])
                )
        hierarchy = require("scipy.cluster.hierarchy", purpose="Telling people apart")
        spatial = require("scipy.spatial.distance", purpose="Telling people apart")
        tree = hierarchy.linkage(spatial.squareform(distances), method="complete")
        groups = hierarchy.fcluster(tree, _SAME_PERSON_MEAN, criterion="distance")
        numbers: dict[int, int] = {}
        by_start = sorted(range(count), key=lambda index: trajectories[index].start)
        for index in by_start:
            numbers.setdefault(int(groups[index]), len(numbers))
        return [numbers[int(group)] for group in groups]

    def _mean(self, trajectory: Trajectory) -> NDArray[np.float64] | None:
        """Returns the mean embedding (128,) of some portraits, None without any."""
        chosen = choose_portraits(trajectory.portraits, _MAX_PORTRAITS)
        if not chosen:
            return None
        vectors = [self._vector(portrait) for portrait in chosen]
        mean: NDArray[np.float64] = np.mean(vectors, axis=0)
        return mean

    def _distance(self, first: Portrait, second: Portrait) -> float:
        return float(np.linalg.norm(self._vector(first) - self._vector(second)))

    def _vector(self, portrait: Portrait) -> NDArray[np.float64]:
        """Embeds a portrait once; pieces of a trajectory share the pictures."""
        key = id(portrait.image)
        if key not in self._known:
            self._known[key] = (portrait, self._embed(portrait.image))
        return self._known[key][1]


def _gap(
    first: tuple[Trajectory, NDArray[np.float64] | None],
    second: tuple[Trajectory, NDArray[np.float64] | None],
) -> float:
    """Returns the distance of two trajectories' people."""
    (one, mean), (other, other_mean) = first, second
    if one.start < other.end and other.start < one.end:
        return _APART
    if mean is None or other_mean is None:
        return _APART
    return float(np.linalg.norm(mean - other_mean))
