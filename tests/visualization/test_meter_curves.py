"""Curves of meters and probe: which plots there are, and what they are beside."""

import pytest

from lightly_marlin.visualization import meter_curves
from lightly_marlin.visualization.meter_curves import meter_figure

METERS = [
    {
        "step": step,
        "rankme": f"{3 + step}",
        "rankme_centred": "5.5",
        "lidar": "2",
        "feature_std": "0.5",
        "alignment": "0.1",
        "uniformity": "-1.5",
        "identity_knn": "0.75",
        "tracks": "8",
        "clips": "16",
    }
    for step in (0, 10)
]
PROBE = [{"step": "10", "exact": "0.8", "knn": "0.7", "constant": "0.5"}]


def plots(*tables):
    """Returns the axes by title."""
    return {axes.get_title("left"): axes for axes in meter_figure(*tables).axes}


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_meter_curves__a_plot_per_subject():
    found = plots(METERS, PROBE)
    assert [*found] == [
        "Effective rank",
        "Standard deviation of directions",
        "Alignment",
        "Uniformity",
        "Nearest neighbour is of the same track",
        "Probe on labels",
    ]
    ranks = curves(found["Effective rank"])
    assert [*ranks] == ["RankMe", "RankMe, centred", "LiDAR"]
    assert ranks["RankMe"] == [[0, 3], [10, 13]]
    assert curves(found["Probe on labels"]) == {
        "exact probe": [[10, 0.8]],
        "nearest neighbours": [[10, 0.7]],
        "baseline: constant": [[10, 0.5]],
    }


def test_meter_curves__baselines():
    found = plots(METERS)
    assert "Probe on labels" not in found
    identity = curves(found["Nearest neighbour is of the same track"])
    assert identity == {
        "features": [[0, 0.75], [10, 0.75]],
        "chance": [[0, 1 / 8], [10, 1 / 8]],
    }
    spread = curves(found["Standard deviation of directions"])
    assert spread["warning level"] == [[0, 0.1], [10, 0.1]]


def test_meter_curves__baselines_alone_are_no_plot():
    assert [*plots([{"step": 0, "rankme": 2}])] == ["Effective rank"]


def test_meter_curves__training_that_diverged():
    """Rows of NaN end the curves, those that they are beside included."""
    lost = dict.fromkeys(METERS[0], "nan") | {"step": "20"}
    for axes in plots([*METERS, lost]).values():
        assert all(line.get_xdata().tolist() == [0, 10] for line in axes.lines)


def test_meter_curves__picture():
    assert meter_curves(METERS, PROBE, title="run").size == (1650, 1530)
    assert meter_curves([], PROBE).size == (1650, 510)
    with pytest.raises(ValueError, match="no number to draw"):
        meter_curves([])
