"""Protocols of evaluation by name: the probes that `--protocol` offers."""

from __future__ import annotations

from collections.abc import Callable

from lightly_marlin.evaluation.attentive_probe import attentive_probe
from lightly_marlin.evaluation.exact_probe import exact_probe
from lightly_marlin.evaluation.knn_probe import knn_probe
from lightly_marlin.evaluation.linear_probe import linear_probe
from lightly_marlin.evaluation.released_probe import released_probe
from lightly_marlin.evaluation.result import Result

__all__ = ["PROTOCOLS"]

PROTOCOLS: dict[str, Callable[..., Result]] = {
    "exact": exact_probe,
    "linear": linear_probe,
    "attentive": attentive_probe,
    "knn": knn_probe,
    "released": released_probe,
}
"""Probes: functions of features, table and seed; each documents its options."""
