import json
import shutil

import numpy as np
import pytest
from PIL import Image

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.console import console, run_recipe


@pytest.fixture(scope="module")
def inspect_store(load_recipe):
    module = load_recipe("inspect_store")

    def run(*arguments):
        return run_recipe(lambda: module.main([str(x) for x in arguments]))

    return run


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    """Tables are not broken into lines by the width of a terminal that is not there."""
    monkeypatch.setattr(console, "width", 160)


def rows(text):
    """Returns the cells of every table row, by the first."""
    lines = [line.split("│") for line in text.splitlines() if line.startswith("│")]
    return {line[1].strip(): [cell.strip() for cell in line[2:-1]] for line in lines}


def test_inspect_store__numbers(tiny_store, inspect_store, capsys):
    assert inspect_store(tiny_store) == 0
    text = capsys.readouterr().out
    store = FaceStore(tiny_store)
    table = rows(text)
    assert table["tracks"] == ["3"]
    assert table["people (identified within a video)"] == ["3"]
    assert table["frames"] == ["72"]
    assert table["tracks with sound"] == ["0"]
    assert table["hours"] == [f"{72 / 25 / 3600:.3g}"]
    values = np.array(store.column("face_width"))
    expected = [f"{f(values):.3g}" for f in (np.min, np.median, np.max)]
    assert table["face width, pixels"][:3] == expected
    assert "Crop options: min_face 40, detector auto, align_eyes False" in text
    assert "3 videos were prepared; 0 of them had a problem" in text


def test_inspect_store__limits(tiny_store, inspect_store, capsys):
    widths = sorted(FaceStore(tiny_store).column("face_width"))
    options = ("--min-face", widths[2], "--max-yaw", 89)
    assert inspect_store(tiny_store, *options) == 0
    table = rows(capsys.readouterr().out)
    assert table["tracks"] == ["3", "1"]
    assert table[f"min_face {widths[2]:g}"] == ["1", "2"]
    assert table["max_yaw 89"] == ["3", "0"]
    assert table["all together"] == ["1", "2"]
    assert table["face width, pixels"][:3] == [f"{widths[2]:.3g}"] * 3
    assert inspect_store(tiny_store, "--min-face", 5000) == 0
    assert "No track is within the limits" in capsys.readouterr().out


def test_inspect_store__plots(tiny_store, inspect_store, tmp_path):
    folder = tmp_path / "deep" / "plots"
    assert inspect_store(tiny_store, "--plots", folder) == 0
    for name in ("histograms.png", "examples.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 200
            assert np.asarray(picture).std() > 5


def test_inspect_store__problems(tiny_store, inspect_store, tmp_path, capsys):
    store = tmp_path / "store"
    shutil.copytree(tiny_store, store)
    entry = {"status": "no_face", "tracks": 0, "frames": 9}
    videos = [
        {**entry, "source": "[b]a.mp4", "reason": "no face was found in its 95 frames"},
        {**entry, "source": "b.mp4", "reason": "no face was found in its 8 frames"},
        {**entry, "source": "c.mp4", "status": "failed", "reason": "the file is empty"},
        {**entry, "source": "d.mp4", "status": "ok", "reason": None},
    ]
    (store / "report.json").write_text(json.dumps({"videos": videos}))
    assert inspect_store(store) == 0
    text = capsys.readouterr().out
    assert "4 videos were prepared; 3 of them had a problem" in text
    lines = [line for line in text.splitlines() if "no face was found" in line]
    cells = [cell.strip() for cell in lines[0].split("│")[1:-1]]
    assert cells == ["no_face", "no face was found in its N frames", "2", "[b]a.mp4"]
    (store / "report.json").write_text("{")
    assert inspect_store(store) == 0
    assert "report.json cannot be read" in capsys.readouterr().out


def test_inspect_store__empty_store(tmp_path, inspect_store, capsys):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "text.mp4").write_text("no video")
    prepare_videos(tmp_path / "videos", tmp_path / "store", num_workers=0)
    assert inspect_store(tmp_path / "store") == 0
    assert rows(capsys.readouterr().out)["tracks"] == ["0"]
    assert inspect_store(tmp_path / "store", "--plots", tmp_path / "plots") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere is no face store"),
        (("STORE", "--min-face", "many"), "invalid float value: 'many'"),
        (("STORE", "--max-yaw", "-3"), "Invalid max_yaw -3.0: must be 0 or more"),
        (("STORE", "--plots", "STORE/index.parquet"), "cannot be written to"),
    ],
)
def test_inspect_store__bad_input(
    arguments, message, tiny_store, inspect_store, capsys
):
    words = [word.replace("STORE", str(tiny_store)) for word in arguments]
    assert inspect_store(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_inspect_store__hours_of_a_browsers_recording(
    tmp_path, make_frames, write_browser_webm, fake_faces, inspect_store, capsys
):
    """The header holds the time base of 1000 a second in place of a rate."""
    stamps = [round(1000 * index / 30.2) for index in range(60)]
    path = write_browser_webm(tmp_path / "a.webm", make_frames(60, 64, 64), stamps)
    prepare_videos(path, tmp_path / "store", num_workers=0)
    assert inspect_store(tmp_path / "store") == 0
    hours = rows(capsys.readouterr().out)["hours"]
    assert hours == [f"{60 / 30.2 / 3600:.3g}"]
