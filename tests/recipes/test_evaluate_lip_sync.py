"""Generated videos beside real ones from the command line: rows, gaps, resumption."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.demo.clips import talking_clips
from lightly_marlin.lip_sync import FidInception, PairMeter, SyncNet
from lightly_marlin.lip_sync.measures.pair_measures import CONTROL_SHIFT
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.video import write_video

SHIFT = 4
SHORT = 12


def with_noise(frames):
    noise = np.random.default_rng(0).normal(0, 20, frames.shape)
    return np.clip(frames + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clip():
    (clip,) = talking_clips(num_clips=1, num_frames=60, size=(160, 160))
    return clip


@pytest.fixture(scope="module")
def folders(clip, tmp_path_factory):
    """A copy, a noisy video whose sound is early, and some that cannot be measured."""
    root = tmp_path_factory.mktemp("lips")
    real, made = root / "real", root / "generated"
    (real / "sub").mkdir(parents=True)
    (made / "sub").mkdir(parents=True)
    sound, short = clip.samples, clip.samples[: 640 * SHORT]
    early = np.append(sound[640 * SHIFT :], np.zeros(640 * SHIFT, np.float32))
    noisy = with_noise(clip.frames)
    black = np.zeros_like(clip.frames[:SHORT])
    write_video(real / "copy.mp4", clip.frames, 25, audio=sound)
    shutil.copy(real / "copy.mp4", made)
    shutil.copy(real / "copy.mp4", real / "sub" / "early.mp4")
    write_video(made / "sub" / "early.mkv", noisy[:50], 25, audio=early[: 640 * 50])
    for name in ("alone", "broken", "mute", "nobody", "short"):
        write_video(real / f"{name}.mp4", clip.frames[:SHORT], 25, audio=short)
    (made / "broken.mp4").write_text("no video")
    write_video(made / "mute.mp4", clip.frames[:SHORT], 25)
    write_video(made / "nobody.mp4", black, 25, audio=short)
    for name in ("short", "stray"):
        shutil.copy(real / "short.mp4", made / f"{name}.mp4")
    return real, made


@pytest.fixture(scope="module")
def recipe(load_recipe):
    return load_recipe("evaluate_lip_sync")


@pytest.fixture
def evaluate(recipe, tmp_path):
    def run(real, generated, *options):
        line = ("--real", real, "--generated", generated, "--out", "out", *options)
        return run_recipe(lambda: recipe.main([str(word) for word in line]))

    return run


def results():
    with open("out/results.json", encoding="utf-8") as file:
        return json.load(file)


def test_evaluate__measures_names_and_goes_on(
    folders, recipe, evaluate, mouth_expert, monkeypatch, capsys
):
    meter = PairMeter(expert=mouth_expert)
    monkeypatch.setattr(recipe, "build_meter", lambda options: meter)
    assert evaluate(*folders, "--device", "cpu") == 0
    said = capsys.readouterr().out
    report = results()
    data, rows = report["data"], report["rows"]
    assert (data["pairs"], data["measured"]) == (6, 2)
    assert data["without_real"] == ["stray"]
    assert data["without_generated"] == ["alone"]
    reasons = data["left_out"]
    assert set(reasons) == {"broken", "mute", "nobody", "short"}
    assert reasons["mute"] == "generated: has no audio stream"
    assert "generated: no face" in reasons["nobody"]
    assert reasons["short"].endswith("too short")
    for name in ("alone", "stray", *reasons):
        assert f"left out: {name}: " in said
    assert "it lasts 2.00 s and the real one 2.40 s" in said
    assert "LSE: not measured, no --syncnet" in said
    assert said.index("ground truth") < said.index("generated  ")
    assert not {"lse_d", "lse_c", "offset"} & set(rows["generated"])
    assert rows["real"]["expert_offset"]["value"] == 0
    assert "FID: not measured, no --inception" in said
    with open("out/videos.csv", encoding="utf-8") as file:
        videos = {row["video"]: row for row in csv.DictReader(file)}
    early, copy = videos["sub/early"], videos["copy"]
    assert early["expert_offset_generated"] == f"{SHIFT}"
    assert early["seconds"] == "2"
    assert float(early["l1_mouth_generated"]) > 0.01
    assert copy["l1_face_generated"] == copy["l1_frame_generated"] == "0"
    assert copy["expert_distance_generated"] == copy["expert_distance_real"]
    assert videos["mute"]["reason"] == reasons["mute"]
    # The control: as early as it was made.
    with np.load("out/pairs/copy.npz") as kept:
        assert 15 - kept["expert/shifted"].argmin() == CONTROL_SHIFT
    # Two videos of three rows of eight faces.
    assert Image.open("out/strip.png").size == (8 * 132 + 12, 6 * 150 + 16)
    assert Image.open("out/offsets.png").size[0] > 400

    def measure_again(*_, **__):
        raise AssertionError

    monkeypatch.setattr(PairMeter, "measure", measure_again)
    assert evaluate(*folders, "--device", "cpu") == 0
    assert results()["rows"] == rows
    assert evaluate(*folders, "--max-seconds", 1) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "begun with --max-seconds 60, not 1. Give the same options" in error


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of the published form with random weights."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for name, network in (("syncnet", SyncNet()), ("inception", FidInception())):
        state = network.state_dict()
        kept = {n: t for n, t in state.items() if not n.endswith("batches_tracked")}
        torch.save(kept, folder / f"{name}.pth")
    return folder / "syncnet.pth", folder / "inception.pth"


@pytest.fixture
def by_files(weights, evaluate, monkeypatch):
    """With published files; of few features, as the distance of 2048 takes long."""
    whole = FidInception.from_file
    monkeypatch.setattr(FidInception, "from_file", lambda path: whole(path, 64))
    options = ("--syncnet", weights[0], "--inception", weights[1], "--device", "cpu")

    def run(*more):
        assert evaluate("real", "generated", *options, *more) == 0
        return results()

    return run


@pytest.fixture
def short(folders, tmp_path):
    """A folder with a short video, and one for those that are made of it."""
    for side in ("real", "generated"):
        (tmp_path / side).mkdir()
    return shutil.copy(folders[0] / "short.mp4", tmp_path / "real")


def test_evaluate__a_folder_beside_itself(short, by_files, tmp_path, capsys):
    shutil.copy(short, tmp_path / "generated")
    report = by_files()
    rows, protocol = report["rows"], report["protocol"]
    for name in ("lse_d", "lse_c", "offset"):
        assert rows["real"][name] == rows["generated"][name]
    assert rows["real"]["fid_faces"]["value"] == 0
    assert rows["generated"]["fid_faces"]["value"] == pytest.approx(0, abs=1e-6)
    assert protocol["fid_on"] == "faces"
    assert protocol["syncnet"]["name"] == "syncnet.pth"
    assert len(protocol["inception"]["sha256"]) == 64
    said = capsys.readouterr().out
    assert "by SyncNet (videos: 1)" in said
    assert "fewer than 64, so the covariance is singular" in said


def test_evaluate__on_frames_of_another_size(clip, short, by_files, tmp_path):
    """Sync and the distance are measured; pixels cannot be."""
    frames = with_noise(clip.frames[:SHORT, 10:-10])
    sound = clip.samples[: 640 * SHORT]
    write_video(tmp_path / "generated" / "short.mp4", frames, 25, audio=sound)
    report = by_files("--fid-on", "frames")
    row = report["rows"]["generated"]
    assert set(row) == {"lse_d", "lse_c", "offset", "fid_frames"}
    assert row["fid_frames"]["value"] > 1e-5
    assert row["lse_d"] != report["rows"]["real"]["lse_d"]
    note = "pictures of 160x140 pixels are not compared with the real ones of 160x160"
    assert note in report["data"]["notes"]["short"][0]
    assert Image.open("out/strip.png").size[0] > 400


def test_evaluate__mistakes_are_one_line(folders, weights, evaluate, tmp_path, capsys):
    real, made = folders
    (tmp_path / "empty").mkdir()
    (tmp_path / "mute").mkdir()
    shutil.copy(made / "mute.mp4", tmp_path / "mute")
    for options, line in (
        ((real, made, "--fid-on", "faces"), "--fid-on needs the network of the FID"),
        ((real, tmp_path / "empty"), "holds no video"),
        ((real / "sub", made), "Name them alike"),
        ((real, tmp_path / "mute"), "None of the 1 pairs could be measured: mute: gen"),
        ((real, made, "--syncnet", weights[1]), "as SyncNet: it holds another network"),
        ((real, made, "--inception", "none"), "none"),
        ((real, made, "--expert", real), "holds no config.json"),
    ):
        assert evaluate(*options) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert line in error
