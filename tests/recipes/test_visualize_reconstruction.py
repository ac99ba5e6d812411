"""Pictures of reconstructions from the command line."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.faces import (
    FaceTrack,
    landmarks_to_crop,
    regions_from_landmarks,
)
from lightly_marlin.models import MarlinConfig, create_marlin, create_marlin_encoder
from lightly_marlin.models.weights.released_layout import released_state
from lightly_marlin.preparation.crop_pass import crop_tracks
from lightly_marlin.preparation.video_faces import find_video_faces
from lightly_marlin.regions import RegionCells
from lightly_marlin.store import CropOptions
from lightly_marlin.training.settings import PretrainSettings, write_settings
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import write_video

RECIPE = Path(__file__).parents[2] / "recipes" / "visualize_reconstruction.py"


class MiddleFace:
    """Stands for the finder: a face in the middle of all but the first 4 frames."""

    longest = longest_untrusted = 0

    def __init__(self, min_frames, align_eyes, **options):
        self.frames_seen = 0
        self.angle = np.float32(0.5 if align_eyes else 0)

    def update(self, frame):
        self.frames_seen += 1

    def finish(self):
        count = self.frames_seen - 4
        if count < 1:
            return []
        angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
        ring = np.stack([48 + 20 * np.cos(angles), 48 + 20 * np.sin(angles)], axis=-1)
        boxes = np.tile(np.array([8, 8, 88, 88], np.float32), (count, 1))
        landmarks = np.tile(ring.astype(np.float32), (count, 1, 1))
        seen, turned = np.ones(count, bool), np.full(count, self.angle)
        return [FaceTrack(4, boxes, landmarks, seen, 1.0, turned)]


@pytest.fixture(scope="module")
def module():
    return runpy.run_path(str(RECIPE))


@pytest.fixture
def visualize(module, monkeypatch):
    monkeypatch.setattr("lightly_marlin.faces.FaceFinder", MiddleFace)
    return lambda *options: run_recipe(
        lambda: module["main"]([str(x) for x in options])
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    create_marlin("marlin_vit_tiny").save_pretrained(folder / "model")
    return folder / "model"


@pytest.fixture
def video(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 3), dtype=np.uint8)
    write_video(tmp_path / "a.mp4", noise.repeat(8, axis=1).repeat(8, axis=2), fps=20)
    return tmp_path / "a.mp4"


def test_pictures(visualize, weights, video, tmp_path):
    out = tmp_path / "out"
    assert visualize(video, out, "--weights", weights) == 0
    with Image.open(out / "reconstruction.gif") as gif:
        assert gif.n_frames == 16
        assert gif.size == (4 * 228 - 4 + 16, 364)
        assert gif.info["duration"] == 100  # Every second frame of 20 in a second.
    with Image.open(out / "reconstruction.png") as sheet:
        assert sheet.size == (6 * 228 - 4 + 16, 4 * 246 + 140)
        assert np.asarray(sheet).std() > 20
    with Image.open(out / "masks.png") as sheet:
        # The clip and eleven masks: a row each.
        assert sheet.size == (6 * 164 - 4 + 16, 12 * 182 + 90)
    result = json.loads((out / "reconstruction.json").read_text())
    # In the middle of the face's 56 frames, of which 31 are spanned.
    assert result["frames"] == list(range(16, 48, 2))
    assert result["loss"] > result["mean_color_loss"] > 0


@pytest.mark.parametrize("objective", ["norm_pixels", "motion"])
def test_other_targets_are_shown_as_pixels(
    objective, visualize, weights, video, tmp_path, capsys
):
    """As the run says in which the weights lie, or the command line."""
    run = tmp_path / "run"
    shutil.copytree(weights, run / "model")
    settings = PretrainSettings(objectives=f"{objective}=1 latent=0.1")
    write_settings(settings, run / "config.yaml")
    results = []
    places = (run / "model",), (weights, "--objective", objective), (weights,)
    for options in places:
        assert visualize(video, tmp_path / "out", "--weights", *options) == 0
        text = (tmp_path / "out" / "reconstruction.json").read_text()
        results.append((json.loads(text), capsys.readouterr().out))
    (first, printed), (second, _), (pixels, beside) = results
    assert first["loss"] == second["loss"] != pixels["loss"]
    # Pixels alone are beside the mean colour.
    assert "mean_color_loss" in pixels
    assert "mean_color_loss" not in first
    assert "of the mean colour" in beside
    assert "mean colour" not in printed


def test_model_without_a_decoder_of_pixels(visualize, weights, video, tmp_path, capsys):
    shutil.copytree(weights, tmp_path / "run" / "model")
    settings = PretrainSettings(objectives="latent=1")
    write_settings(settings, tmp_path / "run" / "config.yaml")
    model = tmp_path / "run" / "model"
    assert visualize(video, tmp_path / "out", "--weights", model) == 2
    error = capsys.readouterr().err
    assert "trained no decoder of pixels, but latent: there is no" in error
    assert error.count("\n") == 1


def test_start_and_rate(visualize, weights, video, tmp_path):
    options = ("--start-seconds", 2.5, "--sample-rate", 1, "--mask", "tube")
    assert visualize(video, tmp_path / "out", "--weights", weights, *options) == 0
    result = json.loads((tmp_path / "out" / "reconstruction.json").read_text())
    # The last frame repeats where the face ends.
    assert result["frames"] == [*range(50, 60), *6 * [59]]
    assert result["mask"] == "tube"


@pytest.mark.parametrize("align_eyes", [False, True])
def test_the_clip_is_cropped_as_for_training(align_eyes, module, visualize, video):
    options = ["--align-eyes"] * align_eyes + ["--start-seconds", "1"]
    arguments = [str(video), "out", "--weights", "w", *options]
    options = module["parse_arguments"](arguments)
    clip = module["read_clip"](video, MarlinConfig(), options)
    (track,) = find_video_faces(video, CropOptions(align_eyes=align_eyes)).tracks
    crops = [item.crop for item in crop_tracks(video, [track], 224)]
    assert clip.frames == list(range(20, 52, 2))
    shown = clip.video[0].permute(1, 2, 3, 0).numpy()
    assert np.array_equal(shown, np.stack([crops[n - 4] for n in clip.frames]))
    rows = np.array(clip.frames) - 4
    boxes, angles = track.boxes[rows], track.angles[rows]
    points = landmarks_to_crop(track.landmarks[rows], boxes, 224, angles)
    labels = torch.from_numpy(regions_from_landmarks(points, 224, 224).astype("i2"))
    assert torch.equal(clip.cells[0], RegionCells.from_labels(labels).bits)


@pytest.mark.parametrize("mask", ["motion", "crfrp", "fasking+tube"])
def test_every_mask(mask, visualize, weights, video, tmp_path):
    options = ("--weights", weights, "--mask", mask)
    assert visualize(video, tmp_path / "out", *options) == 0
    result = json.loads((tmp_path / "out" / "reconstruction.json").read_text())
    assert result["mask"] == mask


def test_the_mask_shown_is_the_mask_used(visualize, weights, video, tmp_path):
    """The error is grey exactly where the mask leaves the clip as it is."""
    assert visualize(video, tmp_path / "out", "--weights", weights) == 0
    with Image.open(tmp_path / "out" / "reconstruction.png") as sheet:
        pixels = np.asarray(sheet, dtype=int)
    rows = [pixels[8 + 26 + 22 + 246 * n + 22 :, 8:][:224, :224] for n in range(4)]
    original, mask, painted, error = (
        row.reshape(14, 16, 14, 16, 3).swapaxes(1, 2) for row in rows
    )
    visible = (mask == original).all(axis=(2, 3, 4))
    assert 0 < visible.sum() < 60
    assert ((error == 140).all(axis=(2, 3, 4)) == visible).all()
    assert ((painted == original).all(axis=(2, 3, 4)) == visible).all()


@pytest.mark.parametrize("count", [5, 7])
def test_a_face_for_a_moment(count, visualize, weights, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (count, 96, 96, 3), np.uint8)
    write_video(tmp_path / "short.mp4", noise)
    out = tmp_path / "out"
    assert visualize(tmp_path / "short.mp4", out, "--weights", weights) == 0
    result = json.loads((out / "reconstruction.json").read_text())
    assert result["frames"] == [4, *(15 * [4] if count == 5 else 15 * [6])]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mask-ratio", "1"], "--mask-ratio 1.0"),
        (["--sample-rate", "0"], "--sample-rate 0"),
        (["--start-seconds", "0"], "from frame 4 to 59, which leaves out frame 0"),
        (["--mask", "none"], "Invalid mask ('none')"),
        (["--model", "marlin_vit_small"], "another configuration"),
    ],
)
def test_bad_options(options, message, visualize, weights, video, tmp_path, capsys):
    assert visualize(video, tmp_path / "out", "--weights", weights, *options) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_bad_input(visualize, weights, video, tmp_path, capsys):
    write_video(tmp_path / "dark.mp4", np.zeros((4, 64, 64, 3), np.uint8))
    (tmp_path / "text.mp4").write_text("no video")
    torch.save(
        released_state(create_marlin_encoder("marlin_vit_tiny")), tmp_path / "e.pt"
    )
    for arguments, message in (
        (
            ("dark.mp4", "out", "--weights", weights),
            "dark.mp4: no face was found in its 4 frames",
        ),
        (("text.mp4", "out", "--weights", weights), "cannot be opened"),
        (("gone.mp4", "out", "--weights", weights), "no file gone.mp4"),
        (("a.mp4", "out", "--weights", "e.pt"), "encoder alone"),
        (("a.mp4", "text.mp4/out", "--weights", weights), "Cannot write"),
    ):
        assert visualize(*arguments) == 2
        assert message in capsys.readouterr().err


@pytest.mark.real_data
def test_real_face(module, weights, real_videos, tmp_path):
    arguments = [real_videos / "near_crop_15frames_01.mp4", tmp_path / "out"]
    main = module["main"]
    assert main([str(a) for a in (*arguments, "--weights", weights)]) == 0
    with Image.open(tmp_path / "out" / "masks.png") as sheet:
        red, green, blue = np.asarray(sheet, dtype=int).reshape(-1, 3).T
    # Noses are painted green, and nothing else is.
    assert ((green > red + 50) & (green > blue + 20)).sum() > 5000
