import pytest

from lightly_marlin.audio import read_audio
from lightly_marlin.demo import write_demo_labels
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import VideoReader


@pytest.fixture
def run(load_recipe):
    main = load_recipe("make_demo_videos").main
    return lambda *arguments: run_recipe(lambda: main([str(x) for x in arguments]))


def test_writes_videos(run, tmp_path, capsys):
    out = tmp_path / "new" / "demo_videos"
    assert run(out, "--clips", 2, "--frames", 5) == 0
    assert sorted(path.name for path in out.iterdir()) == ["demo_00.mp4", "demo_01.mp4"]
    with VideoReader(out / "demo_01.mp4") as video:
        assert sum(1 for _ in video) == 5
    assert capsys.readouterr().out.strip().startswith("2 videos in ")


def test_seed_changes_the_videos(run, tmp_path):
    for name, seed in (("a", 0), ("again", 0), ("b", 1)):
        assert run(tmp_path / name, "--clips", 1, "--frames", 3, "--seed", seed) == 0
    a, again, b = (
        (tmp_path / name / "demo_00.mp4").read_bytes() for name in ("a", "again", "b")
    )
    assert a == again
    assert a != b


def test_errors_are_one_line(run, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(tmp_path / "file" / "videos", "--clips", 1) == 2
    assert run(tmp_path / "videos", "--clips", 0) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "cannot be written: Not a directory. Choose another." in errors[0]
    assert "must be a positive integer, got 0" in errors[1]


def test_labels_are_those_of_the_videos(run, tmp_path):
    labels = tmp_path / "labels.csv"
    arguments = ("--clips", 2, "--frames", 64, "--seed", 3, "--labels", labels)
    assert run(tmp_path / "videos", *arguments) == 0
    write_demo_labels(tmp_path / "again.csv", num_clips=2, num_frames=64, seed=3)
    assert labels.read_bytes() == (tmp_path / "again.csv").read_bytes()
    assert labels.read_text().startswith("video,start,end,group,talking,smile")


def test_labels_that_cannot_be_written(run, tmp_path, capsys):
    arguments = ("--clips", 1, "--frames", 33, "--labels", tmp_path / "no" / "l.csv")
    assert run(tmp_path / "videos", *arguments) == 2
    assert "The file" in capsys.readouterr().err


def test_talking_videos_have_sound(run, tmp_path):
    assert run(tmp_path / "out", "--clips", 1, "--frames", 10, "--talking") == 0
    samples, _ = read_audio(tmp_path / "out" / "talking_00.mp4")
    assert samples.std() > 0.01


def test_no_labels_describe_talking_videos(run, tmp_path, capsys):
    assert run(tmp_path / "out", "--talking", "--labels", tmp_path / "l.csv") == 2
    assert "--labels describes the clips without sound" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
