"""What the recipe prints and writes about files with strange names."""

import json
import os
import runpy
from pathlib import Path

import numpy as np
import pytest

from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import write_video

RECIPE = Path(__file__).parents[2] / "recipes" / "preprocess_faces.py"

NAMES = ["a b.mp4", "new\nline\x1b[31m.mp4", "ж 脸.mp4", "\udcff.mp4", "deep/a b.mp4"]
SHOWN = ["a b.mp4", "new\\nline\\x1b[31m.mp4", "ж 脸.mp4", "\\xff.mp4", "deep/a b.mp4"]


@pytest.fixture
def strange_names(tmp_path):
    folder = tmp_path / "v"
    (folder / "deep").mkdir(parents=True)
    write_video(tmp_path / "a.mp4", np.zeros((3, 64, 64, 3), np.uint8))
    for name in NAMES:
        (folder / name).write_bytes((tmp_path / "a.mp4").read_bytes())
    (folder / "bad\nfile.mp4").write_text("no video")
    os.mkfifo(folder / "pipe.mp4")
    return folder


def test_every_name_is_one_line(strange_names, tmp_path, capsys):
    main = runpy.run_path(str(RECIPE))["main"]
    store = tmp_path / "st\nore"
    arguments = [str(strange_names), str(store), "--workers", "1"]
    assert run_recipe(lambda: main(arguments)) == 2
    shown = capsys.readouterr()
    for name in SHOWN:
        line = f"{name}: no face was found in its 3 frames"
        assert shown.out.splitlines().count(line) == 1
    assert "bad\\nfile.mp4: cannot be opened: not a video" in shown.out
    assert "pipe.mp4: is no regular file" in shown.out.splitlines()
    assert len(shown.err.splitlines()) == 1
    text = (store / "report.json").read_text(encoding="utf-8")
    assert json.loads(text)["totals"] == {
        "videos": 7, "ok": 0, "no_face": 5, "failed": 2, "tracks": 0, "frames": 15
    }  # fmt: skip
    assert sum('"source": "new\\nline' in line for line in text.splitlines()) == 1
