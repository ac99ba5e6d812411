"""Measures of a pair whose faces are known: what is told, compared and left out."""

import numpy as np
import pytest
import torch

from lightly_marlin.lip_sync import (
    PairMeter,
    PlacedFace,
    SyncExpert,
    TalkingFace,
    VideoPair,
)
from lightly_marlin.lip_sync.measures import pair_measures
from lightly_marlin.video import VideoError, iter_frames, write_video

BOX = np.float32([8, 8, 40, 40])


def known_face(path, crops, *, max_seconds, size=32):
    """Stands in for the search: the face is always in one box, whose size it has."""
    frames = np.stack(list(iter_frames(path)))
    count = len(frames)
    random = np.random.default_rng(count)
    samples = random.uniform(-0.5, 0.5, 640 * count).astype(np.float32)
    face = TalkingFace(frames[:, 8:40, 8:40], samples, 0.0)
    boxes = np.tile(BOX, (count, 1))
    return PlacedFace(face, boxes, np.zeros(count), np.arange(count) / 25, 25.0)


@pytest.fixture
def make_pair(tmp_path, monkeypatch):
    monkeypatch.setattr(pair_measures, "placed_face", known_face)
    random = np.random.default_rng(0)

    def make(real, generated, side=48):
        paths = tmp_path / "real.mp4", tmp_path / "generated.mp4"
        for path, count, size in zip(paths, (real, generated), (48, side), strict=True):
            frames = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
            write_video(path, frames, 25)
        return VideoPair("a", *paths)

    return make


def test_measure__pictures_alone_without_networks(make_pair):
    measures = PairMeter().measure(make_pair(3, 3))
    assert measures.arrays == {}
    assert (measures.record.real, measures.record.notes) == ({}, [])
    assert set(measures.record.generated) == {
        "l1_mouth",
        "l1_face",
        "l1_frame",
        "ssim_face",
    }


def test_measure__by_an_expert_with_control_and_strip(make_pair):
    torch.manual_seed(0)
    meter = PairMeter(expert=SyncExpert(width=1).eval())
    pair = make_pair(24, 22)
    record, arrays = meter.measure(pair, control=True, strip=True)
    assert record.reason == ""
    assert set(record.real) == {
        "expert_distance",
        "expert_confidence",
        "expert_offset",
    }
    assert record.seconds == 22 / 25
    assert record.notes == [
        "it lasts 0.88 s and the real one 0.96 s: pictures of 0.88 s are compared"
    ]
    curves = {f"expert/{side}" for side in ("real", "generated", "shifted")}
    assert set(arrays) == curves | {"strip/real", "strip/generated"}
    assert arrays["strip/real"].shape == arrays["strip/generated"].shape
    again = meter.measure(pair)
    assert again.record == record
    assert set(again.arrays) == curves - {"expert/shifted"}


def test_measure__of_another_size_only_sync(make_pair):
    record, arrays = PairMeter().measure(make_pair(4, 4, side=64), strip=True)
    assert record.generated == {}
    assert record.notes == [
        "its pictures of 64x64 pixels are not compared with the real ones of 48x48"
    ]
    # Faces as the search found them.
    assert arrays["strip/generated"].shape == (4, 32, 32, 3)


def test_measure__what_is_left_out_says_why(make_pair, monkeypatch):
    meter = PairMeter(expert=SyncExpert(width=1).eval())
    record, arrays = meter.measure(make_pair(24, 12))
    assert record.reason == (
        "generated: its face is seen for 12 frames at 25 per second: too short"
    )
    assert record.real == record.generated == arrays == {}
    pair = make_pair(3, 3)

    def changed(path, rows):
        raise VideoError(path, "it changed while it was read")

    monkeypatch.setattr(
        "lightly_marlin.lip_sync.measures.same_moments._frames_at", changed
    )
    record, _ = PairMeter().measure(pair)
    assert record.reason == "real: it changed while it was read"
