"""Training curves: what was logged, as curves with names and scales."""

import numpy as np
import pytest

from lightly_marlin.visualization import training_curves
from lightly_marlin.visualization.training_curves import training_figure


def metrics(count=5, **columns):
    columns = columns or {
        "loss/reconstruction": "0.5",
        "loss/generator_adversarial": "-0.1",
        "loss/discriminator": "0.2",
        "lr": "1e-4",
        "clips_per_second": "30",
    }
    return [{"step": f"{step}", **columns} for step in range(1, count + 1)]


VALIDATION = [
    {"step": "5", "loss/reconstruction": "0.02", "loss/mean_color": "0.04"},
]


def plots(*tables, **options):
    """Returns the axes by title."""
    figure = training_figure(*tables, **options)
    return {axes.get_title("left"): axes for axes in figure.axes}


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_training_curves__a_plot_per_subject():
    found = plots(metrics(), VALIDATION)
    assert [*found] == [
        "Reconstruction",
        "Adversarial losses",
        "Learning rate",
        "Throughput",
    ]
    drawn = curves(found["Reconstruction"])
    assert [*drawn] == ["training", "held out", "baseline: mean colour, held out"]
    assert drawn["training"] == [[float(n), 0.5] for n in range(1, 6)]
    assert drawn["held out"] == [[5, 0.02]]
    assert [*curves(found["Adversarial losses"])] == ["generator", "discriminator"]
    assert found["Throughput"].get_ylabel() == "clips per second"


@pytest.mark.parametrize("zero", ["0", "0.0", "0e0", "-0.0", 0, 0.0])
def test_training_curves__what_is_0_throughout_has_no_plot(zero):
    found = plots(metrics(**{"loss/discriminator": zero, "loss": "1.5"}))
    # An entry of 0 is a number, and an idle loss however it is written.
    assert list(found) == ["Loss"]
    rows = metrics(**{"loss/discriminator": zero})
    rows[-1]["loss/discriminator"] = "0.1"
    assert list(plots(rows)) == ["Adversarial losses"]


def test_training_curves__other_objectives_and_their_gradients():
    losses = {
        "loss/reconstruction": "0.0",
        "loss/generator_adversarial": "0.0",
        "loss/discriminator": "0.0",
        "loss/latent": "0.4",
        "loss/instance": "-0.2",
    }
    gradients = [
        {"step": f"{step}", "gradient_norm/latent": norm}
        for step, norm in ((2, "0.03"), (4, "0.9"))
    ]
    found = plots(metrics(**losses), (), gradients=gradients)
    # What is 0 because nothing trains on it has no plot.
    assert list(found) == ["Loss of the objectives", "Gradient of latent"]
    assert found["Gradient of latent"].get_yscale() == "log"
    legends = {
        name: [text.get_text() for text in axes.get_legend().get_texts()]
        for name, axes in found.items()
        if axes.get_legend()
    }
    assert legends["Loss of the objectives"] == ["latent", "instance"]


def test_training_curves__scales():
    found = plots(metrics(), VALIDATION)
    assert found["Reconstruction"].get_yscale() == "log"
    assert plots(metrics())["Reconstruction"].get_yscale() == "linear"
    assert found["Adversarial losses"].get_yscale() == "linear"
    assert found["Throughput"].get_ylim()[0] == 0


def test_training_curves__long_curves_are_smoothed():
    rows = [{"step": n, "loss": float(n % 2)} for n in range(1, 401)]
    pale, smooth = plots(rows)["Loss"].lines
    assert pale.get_alpha() < 0.5
    assert set(pale.get_ydata()) == {0.0, 1.0}
    np.testing.assert_allclose(smooth.get_ydata(), 0.5, atol=0.06)
    assert smooth.get_ydata().shape == (400,)


def test_training_curves__what_is_no_number_is_left_out():
    rows = metrics(4, loss="1.5")
    rows[0]["loss"], rows[1]["loss"], rows[2]["loss"] = "nan", "", None
    (axes,) = plots(rows).values()
    assert curves(axes) == {"training": [[4, 1.5]]}


def test_training_curves__picture():
    picture = training_curves(metrics(), VALIDATION, title="run_$1$")
    assert picture.size == (1650, 1020)
    assert training_curves(metrics(lr="0.1")).size == (1650, 510)
    again = training_curves(metrics(), VALIDATION, title="run_$1$")
    assert picture.tobytes() == again.tobytes()


@pytest.mark.parametrize("rows", [[], [{"step": "1"}], metrics(2, loss="nan")])
def test_training_curves__nothing_to_draw(rows):
    with pytest.raises(ValueError, match="no number to draw"):
        training_curves(rows)
