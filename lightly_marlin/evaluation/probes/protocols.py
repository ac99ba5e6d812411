"""Protocols of evaluation by name: the probes that `--protocol` offers."""

from __future__ import annotations

from collections.abc import Callable

from lightly_marlin.evaluation.probes.attentive_probe import attentive_probe
from lightly_marlin.evaluation.probes.exact_probe import exact_probe
from lightly_marlin.evaluation.probes.grid_probe import grid_probe
from lightly_marlin.evaluation.probes.knn_probe import knn_probe
from lightly_marlin.evaluation.probes.linear_probe import linear_probe
from lightly_marlin.evaluation.probes.released_probe import released_probe
from lightly_marlin.evaluation.results.result import Result

__all__ = ["PROTOCOLS", "TOKEN_PROTOCOLS"]

PROTOCOLS: dict[str, Callable[..., Result]] = {
    "exact": exact_probe,
    "linear": linear_probe,
    "attentive": attentive_probe,
    "grid": grid_probe,
    "knn": knn_probe,
    "released": released_probe,
}
"""Probes: functions of features, table and seed; each documents its options."""

TOKEN_PROTOCOLS = frozenset({"attentive", "grid"})
"""Protocols that take the tokens of a window, not their mean."""
