import json
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lightly_marlin.data import FaceClips
from lightly_marlin.demo import write_demo_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import write_video

RECIPE = Path(__file__).parents[2] / "recipes" / "preprocess_faces.py"


@pytest.fixture
def run(warm_python):
    """Runs the recipe as a program."""

    def start(*arguments):
        command = [warm_python, str(RECIPE), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return start


@pytest.fixture
def black_video(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "black.mp4", np.zeros((20, 64, 64, 3), np.uint8))
    return folder


def run_here(*arguments):
    """Runs the recipe in this process; saves the seconds that imports take."""
    main = runpy.run_path(str(RECIPE))["main"]
    try:
        return run_recipe(lambda: main([str(argument) for argument in arguments]))
    except SystemExit as exit_status:
        return exit_status.code


def test_help_names_every_option(capsys):
    assert run_here("--help") == 0
    text = capsys.readouterr().out
    assert all(
        option in text
        for option in (
            *("VIDEOS", "STORE", "--workers", "--all-faces", "--min-face"),
            *("--detector", "--align-eyes", "--commercial", "--jpeg-quality"),
            "--audio",
        )
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "store"], "There is no file or folder nowhere"),
        (["empty", "store"], "The folder empty holds no video"),
        (["empty/*.mp4", "store"], "matches the pattern"),
        (["text.mp4", "text.mp4/store"], "cannot be written"),
        (["text.mp4", "store", "--workers", "0"], "positive integer"),
        (["text.mp4", "store", "--jpeg-quality", "101"], "jpeg_quality (101)"),
        (["text.mp4", "store", "--detector", "eye"], "invalid choice: 'eye'"),
        (["text.mp4", "store", "--detector", "no_eye:f"], "No module named 'no_eye'"),
        (["text.mp4", "store", "--commercial"], "iBUG 300-W"),
        (["text.mp4"], "required: STORE"),
        (["", "store"], "path of the videos is empty"),
        (["text.mp4", ""], "path of the store is empty"),
        (["text.mp4", "x" * 300], "File name too long"),
        (["x" * 300, "store"], "File name too long"),
    ],
)
def test_bad_arguments(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    assert run_here(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_nothing_usable(run, black_video, tmp_path):
    (black_video / "text.mp4").write_text("no video")
    done = run(black_video, tmp_path / "store", "--workers", "1")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "None of the 2 videos gave a face track" in done.stderr
    assert "black.mp4: no face was found in its 20 frames" in done.stdout
    report = json.loads((tmp_path / "store" / "report.json").read_text())
    assert report["totals"]["no_face"] == report["totals"]["failed"] == 1


@pytest.mark.real_data
def test_real_clips(run, real_videos, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("near_crop_talking_01.mp4", "near_crop_15frames_01.mp4"):
        (folder / name).symlink_to(real_videos / name)
    (folder / "cut.mpg").write_bytes(
        (real_videos / "lipsync_audio_01.mpg").read_bytes()[:250_000]
    )
    done = run(folder, tmp_path / "store", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "15 frames; 16 are needed" in done.stdout
    store = FaceStore(tmp_path / "store")
    assert store.column("source") == ["cut.mpg", "near_crop_talking_01.mp4"]
    assert store[1].num_frames == 143
    assert np.abs(store[1].landmarks - 112).max() < 130
    clip = FaceClips(store, start="center")[1]
    assert clip["video"].float().std() > 20
    nose = clip["regions"] >> 6 & 1
    assert nose[:, 8:24, 8:20].sum() > 0.9 * nose.sum()


def test_audio_names_the_videos_without_sound(tmp_path, capsys):
    folder = tmp_path / "videos"
    for talking in (True, False):
        write_demo_videos(folder, num_clips=1, num_frames=17, talking=talking)
    assert run_here(folder, tmp_path / "store", "--audio", "--workers", "1") == 0
    text = capsys.readouterr().out
    assert "demo_00.mp4: without sound: has no audio stream" in text
    assert "talking_00.mp4:" not in text
    (row,) = [line for line in text.splitlines() if "videos without sound" in line]
    assert row.split("│")[2].strip() == "1"
    store = FaceStore(tmp_path / "store")
    assert store.column("num_samples") == [0, 17 * 640]
