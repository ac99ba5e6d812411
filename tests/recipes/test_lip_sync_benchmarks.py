"""Benchmarks of lip synchronisation: what they measure, and that they run."""

import numpy as np
import pytest
import torch

from lightly_marlin.demo import write_demo_videos
from lightly_marlin.lip_sync import SyncExpert, TalkingFace


def make_face(num_frames=70):
    random = np.random.default_rng(0)
    frames = random.integers(256, size=(num_frames, 8, 8, 3), dtype=np.uint8)
    samples = random.standard_normal(640 * num_frames).astype(np.float32)
    return TalkingFace(frames, samples, 0.0)


class Known(torch.nn.Module):
    """In sync or not at all, but for every second window of frames."""

    num_frames, mel_steps = 5, 16

    def embed_frames(self, windows):
        codes = torch.eye(len(windows))
        codes[1::2] = 0
        return codes

    def embed_mel(self, sounds):
        return torch.eye(len(sounds))


def test_clip_accuracy__by_hand(load_benchmark):
    score = load_benchmark("sync_accuracy").clip_accuracy(Known(), make_face())
    # Of 66 windows in sync, half are told; no shifted one is taken for one in sync.
    assert score.accuracy == pytest.approx((0.5 + 1) / 2)
    assert score.auc == pytest.approx(0.5 + 0.5 / 2)


def test_offsets_found__counts_exact_ones(monkeypatch, load_benchmark):
    module = load_benchmark("sync_accuracy")
    shifts = []

    def shift(face, frames):
        shifts.append(frames)
        return face

    class Reading:
        offset = 4

    monkeypatch.setattr(module, "shift_sound", shift)
    monkeypatch.setattr(module, "measure_video", lambda expert, face: Reading)
    found = module.offsets_found(None, [make_face()] * 2)
    assert found == {"found": 2, "of": 42}
    assert shifts == [*range(-10, 11)] * 2


def test_with_interval__needs_five_that_differ(load_benchmark):
    with_interval = load_benchmark("sync_accuracy").with_interval
    assert with_interval([0.5, 0.7])["interval"] is None
    assert with_interval([0.5] * 9)["interval"] is None
    row = with_interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert row["value"] == pytest.approx(0.3)
    assert 0.1 < row["interval"][0] < 0.3 < row["interval"][1] < 0.5


def test_real__division_and_speech(tmp_path, load_benchmark):
    module = load_benchmark("lip_sync_real")
    videos = write_demo_videos(
        tmp_path / "videos", num_clips=2, num_frames=20, talking=True
    )
    mute = write_demo_videos(tmp_path / "mute", num_clips=1, num_frames=20)
    assert module.has_speech(videos[0])
    assert not module.has_speech(mute[0])
    copy = tmp_path / "more_videos" / "copy.mp4"
    copy.parent.mkdir()
    copy.write_bytes(videos[1].read_bytes())
    others = module.other_videos(tmp_path, [videos[1]])
    assert others == [videos[0]]
    module.make_fold(tmp_path / "fold", videos[:1], videos[1:])
    assert (tmp_path / "fold" / "train.txt").read_text() == "train/talking_00\n"
    assert (tmp_path / "fold" / "val.txt").read_text() == "val/talking_01\n"
    assert (tmp_path / "fold" / "main" / "val" / "talking_01.mp4").exists()


@pytest.mark.slow
def test_demo__runs(tmp_path, run_benchmark, read_result):
    steps = ("--expert-steps", 2, "--generator-steps", 2, "--clips", 1)
    run_benchmark(
        "lip_sync_demo", "--work", tmp_path / "w", *steps, "--results", tmp_path
    )
    result = read_result(tmp_path, "lip_sync_demo")
    assert result["expert"]["offsets"]["of"] == 21
    trained, untrained = (result["generator"][x] for x in ("trained", "untrained"))
    assert 0 < trained["mouth"] < 1
    assert untrained["other_mouth_of_clips"] == untrained["mouth_of_clips"]
    assert trained["mouth_of_clips"] != untrained["mouth_of_clips"]
    assert result["minutes"]["generator"] > 0
    assert (tmp_path / "lip_sync_demo.png").exists()


@pytest.mark.slow
def test_real__runs(real_data, tmp_path, run_benchmark, read_result):
    SyncExpert(width=1).save_pretrained(tmp_path / "expert")
    options = ("--expert", tmp_path / "expert", "--steps", 1, "--batch-size", 2)
    work = ("--work", tmp_path / "w", "--results", tmp_path)
    run_benchmark("lip_sync_real", real_data, *options, *work)
    result = read_result(tmp_path, "lip_sync_real")
    assert result["sentences"] == result["after"]["auc"]["clips"] == 9


@pytest.mark.slow
def test_dubbing__runs(tmp_path, run_benchmark, read_result):
    options = ("--models", "marlin_vit_tiny", "--seconds", 1)
    run_benchmark("dubbing", *options, "--results", tmp_path)
    (row,) = read_result(tmp_path, "dubbing")["rows"]
    assert row["seconds"] > 0
    assert 0 < row["peak_gib"] < 8
