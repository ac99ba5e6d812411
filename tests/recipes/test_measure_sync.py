"""Offsets of talking videos from the command line, by networks that know them."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.demo.clips import talking_clips
from lightly_marlin.lip_sync import SyncExpert, SyncNet
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import write_video

SHIFT = 4


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A video in sync, one whose sound is early, and some that cannot be measured."""
    folder = tmp_path_factory.mktemp("videos")
    (clip,) = talking_clips(num_clips=1, num_frames=75)
    early = np.append(clip.samples[640 * SHIFT :], np.zeros(640 * SHIFT, np.float32))
    write_video(folder / "early.mp4", clip.frames, clip.fps, audio=early)
    write_video(folder / "in_sync.mp4", clip.frames, clip.fps, audio=clip.samples)
    write_video(folder / "mute.mp4", clip.frames[:24], clip.fps)
    black = np.zeros((24, 64, 64, 3), np.uint8)
    write_video(folder / "nobody.mp4", black, 25, audio=clip.samples[: 24 * 640])
    short = slice(12)
    write_video(
        folder / "short.mp4", clip.frames[short], 25, audio=clip.samples[: 12 * 640]
    )
    (folder / "broken.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def recipe(load_recipe):
    return load_recipe("measure_sync")


@pytest.fixture
def measure(recipe):
    return lambda *options: run_recipe(lambda: recipe.main([str(x) for x in options]))


def test_measure__finds_offsets_and_names_the_rest(
    videos, recipe, measure, mouth_expert, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(recipe, "load_network", lambda *_: mouth_expert)
    out, picture = tmp_path / "made" / "table.csv", tmp_path / "curves.png"
    options = ("--expert", "known", "--out", out, "--picture", picture)
    assert measure(videos, *options, "--device", "cpu") == 0
    with out.open(encoding="utf-8") as file:
        rows = {row["video"]: row for row in csv.DictReader(file)}
    assert list(rows) == sorted(path.name for path in videos.iterdir())
    found = {name: row["offset_frames"] for name, row in rows.items()}
    assert found["early.mp4"] == f"{SHIFT}"
    assert found["in_sync.mp4"] == "0"
    assert rows["early.mp4"]["offset_seconds"] == "0.16"
    assert int(rows["early.mp4"]["num_frames"]) >= 70
    assert rows["mute.mp4"]["reason"]
    assert "no face" in rows["nobody.mp4"]["reason"]
    assert rows["short.mp4"]["reason"].endswith("too short")
    assert rows["broken.mp4"]["offset_frames"] == ""
    said = capsys.readouterr().out
    assert f"+{SHIFT}" in said
    assert "skipped: mute.mp4: " in said
    assert Image.open(picture).size[0] > 400


def test_measure__by_an_expert_of_ours(videos, measure, tmp_path, capsys):
    torch.manual_seed(0)
    SyncExpert(width=1).save_pretrained(tmp_path / "expert")
    options = ("--expert", tmp_path / "expert", "--max-seconds", 1)
    assert measure(videos / "in_sync.mp4", *options) == 0
    assert "confidence" in capsys.readouterr().out


def test_measure__by_syncnet(videos, measure, tmp_path, capsys):
    torch.manual_seed(0)
    weights = {
        name: value
        for name, value in SyncNet().state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(weights, tmp_path / "syncnet.model")
    options = ("--syncnet", tmp_path / "syncnet.model")
    assert measure(videos / "short.mp4", *options) == 0
    assert "LSE-D" in capsys.readouterr().out


def test_measure__mistakes_are_one_line(videos, measure, tmp_path, capsys):
    SyncExpert(width=1).save_pretrained(tmp_path / "expert")
    expert = ("--expert", tmp_path / "expert")
    for options, line in (
        ((videos,), "Name one network to measure with: --syncnet P"),
        ((videos, *expert, "--syncnet", "x"), "Name one network"),
        ((tmp_path / "nowhere", *expert), "nowhere"),
        ((videos, "--syncnet", tmp_path / "none"), "none"),
        ((videos, "--expert", videos), "holds no config.json"),
        ((videos / "mute.mp4", *expert), "None of the 1 videos could be measured"),
    ):
        assert measure(*options) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert line in error
