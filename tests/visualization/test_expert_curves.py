"""Curves of an expert: chance is beside the numbers that have it."""

import numpy as np
import pytest

from lightly_marlin.visualization.expert_curves import expert_curves

METRICS = [
    {
        "step": str(step),
        "loss": loss,
        "accuracy": "0.6",
        "lr": "1",
        "clips_per_second": "9",
    }
    for step, loss in ((1, "0.7"), (10, "0.4"))
]
VALIDATION = [{"step": "10", "loss": "0.5", "accuracy": "0.75"}]


def test_expert_curves__show_both_tables():
    whole = np.asarray(expert_curves(METRICS, VALIDATION, "run"))
    without = np.asarray(expert_curves(METRICS, [], "run"))
    assert whole.shape == without.shape
    assert (whole != without).any()
    # The picture is the same each time.
    assert np.array_equal(whole, np.asarray(expert_curves(METRICS, VALIDATION, "run")))


def test_expert_curves__need_a_number():
    with pytest.raises(ValueError, match="no number to draw"):
        expert_curves([], [])
