"""Feature extraction from the command line, on real faces where they are there."""

import json
import os
import runpy
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file

from lightly_marlin.features import extract_video
from lightly_marlin.models import MarlinEncoder, create_marlin, create_marlin_encoder
from lightly_marlin.models.weights.released_layout import released_state
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import CropOptions
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import write_video

RECIPE = Path(__file__).parents[2] / "recipes" / "extract_features.py"


@pytest.fixture(scope="module")
def extract():
    main = runpy.run_path(str(RECIPE))["main"]
    return lambda *options: run_recipe(lambda: main([str(x) for x in options]))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny encoder, as a file in the released layout."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.encoder.pt"
    torch.save(released_state(create_marlin_encoder("marlin_vit_tiny")), path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    noise = np.random.default_rng(0).integers(0, 256, (40, 7, 7, 3), dtype=np.uint8)
    big = noise.repeat(32, axis=1).repeat(32, axis=2)
    write_video(folder / "a.mp4", big)
    write_video(folder / "wide.mp4", big[:20, :, :112])
    (folder / "text.mp4").write_text("no video")
    return folder


@pytest.fixture
def videos(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "videos"))


def test_writes_features_index_and_table(extract, weights, videos, tmp_path, capsys):
    out = tmp_path / "out"
    assert extract(videos, out, "--weights", weights, "--parquet") == 0
    encoder = create_marlin_encoder("marlin_vit_tiny", weights=weights)
    features = np.load(out / "a.npy")
    expected = extract_video(encoder, videos / "a.mp4")
    torch.testing.assert_close(torch.from_numpy(features), expected)
    table = pq.read_table(out / "features.parquet")
    assert np.array_equal(table["features"].to_pylist()[1], features[1].tolist())
    index = pq.read_table(out / "index.parquet")
    assert index.equals(table.select(index.column_names))
    text = capsys.readouterr().out
    assert "text.mp4: cannot be opened" in text
    assert "wide.mp4: the middle square of its 112x224 frames" in text


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (["--reference-windows"], (1, 192)),
        (["--keep-seq"], (2, 1568, 192)),
        (["--keep-seq", "--pool-tokens", "2", "--half"], (2, 392, 192)),
        (["--reduction", "mean"], (1, 192)),
        (["--precision", "bf16", "--batch-size", "1"], (2, 192)),
        (["--stride", "2", "--sample-rate", "1", "--workers", "1"], (13, 192)),
    ],
)
def test_options(options, shape, extract, weights, videos, tmp_path):
    out = tmp_path / "out"
    arguments = [videos / "a.mp4", out, "--weights", weights, *options]
    assert extract(*arguments, "--model", "marlin_vit_tiny") == 0
    array = np.load(out / "a.npy")
    assert array.shape == shape
    assert array.dtype == (np.float16 if "--half" in options else np.float32)


def test_weights_of_a_run(extract, videos, tmp_path):
    create_marlin("marlin_vit_tiny").save_pretrained(tmp_path / "model")
    out = tmp_path / "out"
    options = ["--weights", tmp_path / "model", "--format", "safetensors"]
    assert extract(videos, out, *options) == 0
    encoder = MarlinEncoder.from_pretrained(tmp_path / "model")
    features = load_file(out / "a.safetensors")["features"]
    expected = extract_video(encoder, videos / "a.mp4")
    torch.testing.assert_close(torch.from_numpy(features), expected)


BAD = [
    (["nowhere", "out", "--weights", "W"], "no file or folder nowhere"),
    (["videos", "out"], "required: --weights"),
    (["videos", "out", "--weights", "gone.pt"], "no file or folder gone.pt"),
    (["videos", "out", "--weights", "W", "--model", "marlin_vit_small"], "do not fit"),
    (["videos", "out", "--weights", "W", "--model", "vit"], "Unknown model 'vit'"),
    (["videos", "out", "--weights", "W", "--stride", "0"], "positive integer"),
    (["videos", "out", "--weights", "W", "--reduction", "sum"], "invalid choice"),
    (["videos", "out", "--weights", "W", "--device", "cuda:99"], "cannot be used"),
    (["videos", "out", "--weights", "W", "--detector", "dog"], "invalid choice"),
    (["videos", "out", "--weights", "W", "--crops-like", "no"], "no is no face store"),
    (["videos", "videos/a.mp4", "--weights", "W"], "cannot be written"),
    (["videos/text.mp4", "out", "--weights", "W"], "None of the 1 videos"),
    (["videos", "o", "--weights", "W", "--keep-seq", "--parquet"], "too large"),
    (["videos", "o", "--weights", "W", "--pool-tokens", "2"], "only with keep_seq"),
    (
        ["videos", "o", "--weights", "W", "--keep-seq", "--pool-tokens", "3"],
        "It must divide the 14x14 patches",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments(
    arguments, message, extract, weights, videos, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert extract(*(weights if a == "W" else a for a in arguments)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_a_killed_run_goes_on(extract, weights, videos, tmp_path, capsys, kill_when):
    for index in range(8):
        os.link(videos / "a.mp4", videos / f"b{index}.mp4")
    out = tmp_path / "out"
    arguments = (videos, out, "--weights", weights, "--batch-size", 1)
    kill_when((RECIPE, *arguments), lambda: list(out.glob("b*.npy")))
    # A file that was being written has a name with a dot; the next run removes it.
    finished = {p.name: p.stat().st_mtime_ns for p in out.glob("[!.]*.npy")}
    assert 0 < len(finished) < 10
    assert extract(*arguments) == 0
    assert "finished before" in capsys.readouterr().out
    after = {p.name: p.stat().st_mtime_ns for p in out.glob("*.npy")}
    assert len(after) == 10
    # A file may have come just before its line in the journal.
    redone = [name for name, stamp in finished.items() if after[name] != stamp]
    assert len(redone) <= 1
    # One video under nine names: who encoded it, and when, must not show.
    assert len({(out / name).read_bytes() for name in after if name != "wide.npy"}) == 1
    assert json.loads((out / "report.json").read_text())["totals"]["ok"] == 10


@pytest.mark.real_data
def test_crops_of_a_store_or_of_its_options(extract, weights, real_videos, tmp_path):
    """Two ways to ask for one thing give the same bytes; upright crops others."""
    video, crops = real_videos / "lipsync_audio_01.mpg", {"align_eyes": True}
    prepare_videos(video, tmp_path / "store", num_workers=0, **crops)
    ways = [["--align-eyes"], ["--crops-like", tmp_path / "store"], ["--crop-face"]]
    files = []
    for number, options in enumerate(ways):
        out = tmp_path / str(number)
        assert extract(video, out, "--weights", weights, *options) == 0
        files.append((out / "lipsync_audio_01.npy").read_bytes())
    assert files[0] == files[1] != files[2]
    report = json.loads((tmp_path / "1" / "report.json").read_text())
    assert report["crops"] == CropOptions(**crops).crops()
    encoder = create_marlin_encoder("marlin_vit_tiny", weights=weights)
    expected = extract_video(encoder, video, crop_face=True, **crops)
    found = torch.from_numpy(np.load(tmp_path / "0" / "lipsync_audio_01.npy"))
    torch.testing.assert_close(found, expected)


@pytest.mark.real_data
def test_faces_of_real_clips(extract, weights, real_data, tmp_path, capsys):
    folder = tmp_path / "videos"
    folder.mkdir()
    names = ("videos/lipsync_audio_01.mpg", "videos/no_face_animation_01.mp4")
    for name in names:
        (folder / Path(name).name).symlink_to(real_data / name)
    out = tmp_path / "out"
    assert extract(folder, out, "--weights", weights, "--crop-face") == 0
    assert np.load(out / "lipsync_audio_01.npy").shape == (3, 192)
    assert np.load(out / "no_face_animation_01.npy").shape == (0, 192)
    assert "no face was found in its 95 frames" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert report["totals"]["no_face"] == 1
