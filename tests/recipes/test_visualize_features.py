"""Pictures of features from the command line."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.analysis.plane_embedding import embed_in_plane
from lightly_marlin.faces import FaceTrack
from lightly_marlin.features import extract_features
from lightly_marlin.models import MarlinConfig, MarlinEncoder
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import write_video


class TwoFaces:
    """Stands for the finder: two faces beside each other, the second one later."""

    longest = longest_untrusted = 0
    asked = None

    def __init__(self, min_frames, main_only, **options):
        TwoFaces.asked = options
        self.frames_seen = 0

    def update(self, frame):
        self.frames_seen += 1

    def finish(self):
        return [self.track(0, 4), self.track(10, 40)]

    def track(self, start, left):
        count = self.frames_seen - start
        boxes = np.tile(np.array([left, 4, left + 32, 36], np.float32), (count, 1))
        landmarks = np.zeros((count, 68, 2), np.float32)
        return FaceTrack(start, boxes, landmarks, np.ones(count, bool), score=1.0)


@pytest.fixture(scope="module")
def visualize(load_recipe):
    main = load_recipe("visualize_features").main
    return lambda *options: run_recipe(lambda: main([str(x) for x in options]))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An encoder of 8 x 2 x 2 tokens."""
    torch.manual_seed(0)
    config = MarlinConfig(
        img_size=32, encoder_dim=24, encoder_depth=2, encoder_num_heads=2
    )
    folder = tmp_path_factory.mktemp("weights") / "model"
    MarlinEncoder(config).save_pretrained(folder)
    return folder


@pytest.fixture
def videos(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (80, 5, 10, 3), dtype=np.uint8)
    noise = noise.repeat(8, axis=1).repeat(8, axis=2)
    (tmp_path / "videos" / "more").mkdir(parents=True)
    write_video(tmp_path / "videos" / "b.mp4", noise, fps=20)
    write_video(tmp_path / "videos" / "more" / "a.mp4", noise[40:56, :, :40], fps=20)
    (tmp_path / "videos" / "text.mp4").write_text("no video")
    return tmp_path / "videos"


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_table(visualize, weights, videos, tmp_path, capsys):
    out = tmp_path / "out"
    assert visualize(videos, out, "--weights", weights) == 0
    rows = read(out / "embedding.csv")
    assert [(row["source"], row["start_frame"]) for row in rows] == [
        *(("b.mp4", str(start)) for start in (0, 32, 48)),
        ("more/a.mp4", "0"),
    ]
    assert [row["num_frames"] for row in rows] == ["16", "16", "16", "8"]
    assert rows[1]["start_seconds"] == "1.600"
    encoder = MarlinEncoder.from_pretrained(weights).eval()
    files = (videos / "b.mp4", videos / "more" / "a.mp4")
    features = [extract_features(encoder, path).features for path in files]
    expected = embed_in_plane(torch.cat(features), "pca").coordinates
    found = [[float(row["x"]), float(row["y"])] for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    text = capsys.readouterr().out
    assert "text.mp4: cannot be opened" in text
    assert (
        "embedding: t-SNE needs at least 16 different windows, and there are 4" in text
    )
    assert "4 windows of 2 tracks. The plane in which" in text
    assert "Overlays of 2 of 2 tracks" in text


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_embedding(method, visualize, weights, videos, tmp_path, capsys):
    """A stride of one frame gives 65 windows, enough for t-SNE."""
    out = tmp_path / "out"
    options = ("--weights", weights, "--sample-rate", 1, "--stride", 1)
    arguments = (videos / "b.mp4", out, *options, "--embedding", method)
    assert visualize(*arguments) == 0
    rows = read(out / "embedding.csv")
    assert len(rows) == 65
    features = extract_features(
        MarlinEncoder.from_pretrained(weights).eval(),
        videos / "b.mp4",
        sample_rate=1,
        stride=1,
    ).features
    found = [[float(row["x"]), float(row["y"])] for row in rows]
    expected = embed_in_plane(features, method)
    np.testing.assert_allclose(found, expected.coordinates, rtol=1e-6)
    text = capsys.readouterr().out
    assert expected.meaning in text
    assert ("perplexity 21.3" in text) == (method == "tsne")
    first = (out / "embedding.csv").read_bytes(), (out / "embedding.png").read_bytes()
    assert visualize(*arguments) == 0
    again = (out / "embedding.csv").read_bytes(), (out / "embedding.png").read_bytes()
    assert first == again


def test_one_frame(visualize, weights, tmp_path, capsys):
    write_video(tmp_path / "one.mp4", np.full((1, 64, 64, 3), 90, np.uint8))
    arguments = (tmp_path / "one.mp4", tmp_path / "out", "--weights", weights)
    assert visualize(*arguments) == 0
    (row,) = read(tmp_path / "out" / "embedding.csv")
    assert (row["num_frames"], float(row["x"]), float(row["y"])) == ("1", 0, 0)
    assert "and there are 1: principal components" in capsys.readouterr().out


def test_pictures(visualize, weights, videos, tmp_path):
    out = tmp_path / "out"
    assert visualize(videos, out, "--weights", weights) == 0
    with Image.open(out / "embedding.png") as sheet:
        assert len(sheet.getcolors(2**20)) > 100
    overlays = sorted((out / "overlays").glob("*"))
    names = [path.name[0] + path.suffix for path in overlays]
    assert names == ["a.gif", "a.png", "b.gif", "b.png"]
    with Image.open(overlays[2]) as gif:
        # Enlarged to 160 pixels; a title, three lines below, margins and gaps.
        assert (gif.n_frames, gif.size) == (16, (3 * 164 - 4 + 16, 320))
        assert gif.info["duration"] == 100  # Every second frame of 20 in a second.
    with Image.open(overlays[3]) as sheet:
        assert sheet.size == (8 * 164 - 4 + 16, 686)


def test_crop_options_reach_the_finder(
    visualize, weights, videos, tmp_path, monkeypatch
):
    monkeypatch.setattr("lightly_marlin.faces.FaceFinder", TwoFaces)
    options = ("--detector", "hog", "--align-eyes", "--min-face", 30)
    out = tmp_path / "out"
    assert visualize(videos / "b.mp4", out, "--weights", weights, *options) == 0
    asked = {"min_face": 30, "detector": "hog", "align_eyes": True}
    assert TwoFaces.asked == asked


def test_every_face(visualize, weights, videos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lightly_marlin.faces.FaceFinder", TwoFaces)
    options = ("--weights", weights, "--all-faces", "--max-overlays", 1)
    assert visualize(videos / "b.mp4", tmp_path / "out", *options) == 0
    rows = read(tmp_path / "out" / "embedding.csv")
    # 80 frames make three windows, and 70 frames, too.
    places = [(row["track"], row["start_frame"]) for row in rows]
    assert places == [("0", "0"), ("0", "32"), ("0", "48")] + [
        ("1", str(start)) for start in (10, 42, 48)
    ]
    assert len(list((tmp_path / "out" / "overlays").glob("*_000.*"))) == 2
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 2
    assert "Overlays of 1 of 2 tracks" in capsys.readouterr().out


def framed(path):
    """Returns the columns of the sheet in which a token is framed, and its corner."""
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet.convert("RGB"), dtype=int)
    # Below margin, title, moments, the original and a caption.
    pixels = pixels[8 + 26 + 22 + 182 + 22 :, 8:][:160]
    y, x = (pixels == (89, 255, 140)).all(axis=-1).nonzero()
    return [] if len(x) == 0 else [x.min() // 164, y.min() // 5, x.min() % 164 // 5]


@pytest.mark.parametrize(
    ("query", "place"),
    [("middle", [4, 16, 16]), ("2,0,1", [2, 0, 16]), ("mean", [])],
)
def test_query(query, place, visualize, weights, videos, tmp_path):
    out = tmp_path / "out"
    arguments = (videos / "more" / "a.mp4", out, "--weights", weights)
    assert visualize(*arguments, "--query", query) == 0
    assert framed(next((out / "overlays").glob("*.png"))) == place


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--query", "8,0,0"], "TIME,ROW,COLUMN from 0,0,0 to 7,1,1"),
        (["--query", "1,1"], "Invalid token 1,1"),
        (["--query", "nose"], "Invalid token nose"),
        (["--embedding", "umap"], "invalid choice: 'umap'"),
        (["--max-overlays", "0"], "must be a positive integer, got 0"),
        (["--model", "marlin_vit_tiny"], "another configuration"),
        (["--device", "moon"], "The device moon cannot be used"),
    ],
)
def test_bad_options(options, message, visualize, weights, videos, tmp_path, capsys):
    assert visualize(videos, tmp_path / "out", "--weights", weights, *options) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_bad_input(visualize, weights, videos, capsys):
    broken = MarlinEncoder.from_pretrained(weights)
    broken.norm.weight.data.fill_(torch.finfo(torch.float32).max)
    broken.save_pretrained("broken")
    for arguments, message in (
        ((videos / "text.mp4", "out", "--weights", weights), "None of the 1 videos"),
        ((videos / "gone", "out", "--weights", weights), "gone"),
        ((videos, videos / "b.mp4" / "out", "--weights", weights), "Cannot write to"),
        ((videos, "out", "--weights", "broken"), "features that are not finite"),
    ):
        assert visualize(*arguments) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert message in lines[0]
