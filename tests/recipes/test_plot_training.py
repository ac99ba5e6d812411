import pytest
from PIL import Image

from lightly_marlin.utils.console import run_recipe

METRICS = """step,loss/reconstruction,loss/generator_adversarial,lr,clips_per_second
1,0.5,-0.1,1e-4,30
2,0.4,-0.2,2e-4,31
3,0.3,-0.
"""
VALIDATION = "step,loss/reconstruction,loss/mean_color,ratio\n2,0.4,0.2,2.0\n"


@pytest.fixture(scope="module")
def plot(load_recipe):
    main = load_recipe("plot_training").main
    return lambda *options: run_recipe(lambda: main([str(x) for x in options]))


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "metrics.csv").write_text(METRICS)
    return folder


def test_plot_training(plot, run, tmp_path, capsys):
    """Three plots of the loss recipes' columns; a run that is just being written."""
    assert plot(run) == 0
    assert str(run / "curves.png") in capsys.readouterr().out.replace("\n", "")
    with Image.open(run / "curves.png") as picture:
        assert picture.size == (1650, 1020)
        plain = picture.tobytes()
    (run / "validation.csv").write_text(VALIDATION)
    out = tmp_path / "deep" / "held_out"
    assert plot(run, "--out", out) == 0
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert picture.tobytes() != plain


METERS = "step,rankme,feature_std,tracks\n0,1.5,0.2,8\n2,3.5,0.4,8\n"
PROBE = "step,exact,knn,constant\n0,0.6,0.55,0.5\n"


@pytest.mark.parametrize(
    ("tables", "height"),
    [
        ({"meters.csv": METERS}, 510),
        ({"probe.csv": PROBE}, 510),
        ({"meters.csv": METERS, "probe.csv": PROBE}, 1020),
    ],
)
def test_plot_training__meters(tables, height, plot, run, tmp_path, capsys):
    for name, text in tables.items():
        (run / name).write_text(text)
    assert plot(run) == 0
    assert str(run / "meters.png") in capsys.readouterr().out.replace("\n", "")
    with Image.open(run / "meters.png") as picture:
        assert picture.size == (1650, height)
    assert plot(run, "--out", tmp_path / "deep" / "curves.png") == 0
    assert (tmp_path / "deep" / "meters.png").read_bytes() == (
        run / "meters.png"
    ).read_bytes()


def test_plot_training__meters_that_have_just_begun(plot, run):
    (run / "meters.csv").write_text(METERS.splitlines()[0] + "\n")
    assert plot(run) == 0
    assert (run / "curves.png").exists()
    assert not (run / "meters.png").exists()


def test_plot_training__broken_meters_leave_no_picture(plot, run, capsys):
    (run / "meters.csv").write_text("step,rankme\n1,many\n")
    assert plot(run) == 2
    assert "float: 'many'" in capsys.readouterr().err
    assert not (run / "curves.png").exists()


def test_metrics_saved_by_excel(plot, run):
    (run / "metrics.csv").write_text(METRICS, encoding="utf-8-sig")
    assert plot(run) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "metrics.csv. Give the folder of a run"),
        (b"step,loss\n", "no number to draw"),
        (b"step,loss\n1,many\n", "could not convert string to float: 'many'"),
        (b"\xff\xfe\x00", "metrics.csv cannot be read"),
    ],
)
def test_plot_training__bad_run(text, message, plot, run, capsys):
    (run / "metrics.csv").unlink()
    if text is not None:
        (run / "metrics.csv").write_bytes(text)
    assert plot(run) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (run / "curves.png").exists()


def test_plot_training__bad_out(plot, run, capsys):
    assert plot(run, "--out", run / "metrics.csv" / "curves.png") == 2
    assert "cannot be written" in capsys.readouterr().err
