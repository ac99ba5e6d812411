"""PyTorchVideo from end to end: files, clips, encoder with a head, predictions."""

import csv
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lightly_marlin.models import create_marlin
from lightly_marlin.transforms import MarlinTransform
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import iter_frames, write_video

RECIPE = Path(__file__).parents[2] / "recipes" / "pytorchvideo_classification.py"


@pytest.fixture(scope="module")
def run(load_recipe):
    main = load_recipe("pytorchvideo_classification").main

    def start(*options):
        return run_recipe(lambda: main([str(option) for option in options]))

    return start


@pytest.fixture
def colours(tmp_path):
    """Two red and two blue videos, one text file and one that is not there."""
    folder = tmp_path / "videos"
    folder.mkdir()
    rows = ["video,colour"]
    for number in range(4):
        frames = np.full((50, 64, 64, 3), 20 * number, np.uint8)
        frames[..., 0 if number % 2 else 2] = 220
        write_video(folder / f"{number}.mp4", frames, 25.0)
        rows.append(f"videos/{number}.mp4,{'red' if number % 2 else 'blue'}")
    (folder / "text.mp4").write_text("no video")
    rows += ["videos/text.mp4,red", "videos/absent.mp4,blue"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path / "labels.csv"


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_learns_colours_and_names_broken_files(run, colours, tmp_path, capsys):
    options = ("--column", "colour", "--input-size", 32, "--learning-rate", 1e-3)
    sizes = ("--max-steps", 10, "--batch-size", 4)
    assert run(colours, *options, *sizes, "--out", tmp_path / "x") == 0
    predictions = read(tmp_path / "x" / "predictions.csv")
    assert [row["predicted"] for row in predictions] == ["blue", "red", "blue", "red"]
    losses = [float(row["loss"]) for row in read(tmp_path / "x" / "metrics.csv")]
    assert losses[-1] < 0.5 * losses[0]
    text = "".join(capsys.readouterr().out.split())
    assert "text.mp4:FailedtoopenvideoText.mp4".lower() in text.lower()
    assert "absent.mp4" in text
    assert "4of4videosclassifiedcorrectly" in text


def test_weights_reach_the_encoder(run, colours, tmp_path, load_recipe):
    """Net makes linear layers anew; what is saved comes from the weights."""
    create_marlin("marlin_vit_tiny").save_pretrained(tmp_path / "model")
    stored = create_marlin("marlin_vit_tiny", weights=tmp_path / "model").encoder
    options = ("--column", "colour", "--max-steps", 1, "--learning-rate", 0)
    options += ("--batch-size", 1)
    weights = ("--weights", tmp_path / "model", "--out", tmp_path / "x")
    assert run(colours, *options, *weights) == 0
    saved = torch.load(tmp_path / "x" / "model.pt", weights_only=True)
    for name, value in stored.state_dict().items():
        assert torch.equal(saved[f"blocks.0.{name}"], value)
    again = ("--weights", tmp_path / "x" / "model.pt", "--out", tmp_path / "y")
    with pytest.warns(UserWarning, match=r"left out: blocks\.1\.weight, blocks\.1\.b"):
        assert run(colours, *options, *again) == 0


def test_labels_with_a_byte_order_mark(colours, load_recipe):
    text = colours.read_text().replace("blue", "bläulich")
    colours.write_text(text, encoding="utf-8-sig")
    module = load_recipe("pytorchvideo_classification")
    labelled, classes = module.read_labels(colours, "colour")
    assert classes == ["bläulich", "red"]
    assert labelled[1] == (str(colours.parent / "videos" / "1.mp4"), {"label": 1})


@pytest.fixture
def phone(tmp_path):
    """Writes a video of a white quarter with a matrix in its track header."""

    def write(*numbers):
        path, frames = tmp_path / "phone.mp4", np.zeros((40, 64, 96, 3), np.uint8)
        frames[:, :32, :48] = 255
        write_video(path, frames, 25.0)
        data = bytearray(path.read_bytes())
        place = data.index(b"tkhd") + 44
        a, b, c, d = (number << 16 for number in numbers)
        data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("first", [(1, 0), (-1, 0), (0, 1), (0, -1)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_videos_of_phones_are_as_players_show_them(first, mirrored, phone, load_recipe):
    a, b = first
    path = phone(a, b, b, -a) if mirrored else phone(a, b, -b, a)
    module = load_recipe("pytorchvideo_classification")
    labelled = module.leave_out_broken([(str(path), {"label": 0})])
    transform = MarlinTransform(input_size=32, pixel_range=255.0)
    loader = module.make_loader(labelled, 1, transform, "uniform")
    clip = next(iter(loader))["video"][0, :, 0].movedim(0, -1)
    shown = next(iter_frames(path))
    height, width = shown.shape[:2]
    sampled = shown[height // 64 :: height // 32, width // 64 :: width // 32] / 255
    assert sampled.std() > 0.3
    assert np.abs(clip.numpy() - sampled).mean() < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("nowhere.csv",), "The labels nowhere.csv cannot be read"),
        (("labels.csv", "--column", "taste"), "need the columns video and taste"),
        (("one.csv",), "has 1 different values; 2 to 1000"),
        (("broken.csv",), "None of the 2 videos can be decoded"),
        (("labels.csv", "--model", "vit", "--column", "colour"), "vit"),
        (("labels.csv", "--input-size", "60", "--column", "colour"), "60"),
        (("labels.csv", "--max-steps", "0"), "max_steps 0: must be at least 1"),
    ],
)
def test_bad_input(run, colours, tmp_path, options, message, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("one.csv").write_text("video,label\na.mp4,x\nb.mp4,x\n")
    Path("broken.csv").write_text("video,label\na.mp4,x\nlabels.csv,y\n")
    assert run(*options, "--out", tmp_path / "x") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.real_data
def test_command_words_of_grid(real_data, tmp_path):
    """As a user starts it; the module that torchvision broke is never imported."""
    rows = read(real_data / "labelled" / "grid_sentences" / "labels.csv")[:3]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("video", "command"))
        for row in rows:
            path = real_data / "labelled" / "grid_sentences" / row["video"]
            writer.writerow((path, row["command"]))
    watched = (
        "import runpy, sys; sys.argv = sys.argv[1:];\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert 'pytorchvideo.transforms' not in sys.modules"
    )
    command = [sys.executable, "-c", watched, RECIPE, tmp_path / "labels.csv"]
    command += ["--column", "command", "--max-steps", 2, "--batch-size", 2]
    command += ["--input-size", 64]
    command = [str(part) for part in [*command, "--out", tmp_path / "run"]]
    subprocess.run(command, check=True, timeout=300, cwd=tmp_path)
    predictions = read(tmp_path / "run" / "predictions.csv")
    assert [row["command"] for row in predictions] == ["bin", "bin", "lay"]
    assert {row["predicted"] for row in predictions} <= {"bin", "lay"}
