"""Readings of a talking face: the same sign and meaning by either network."""

import numpy as np
import pytest
import torch

from lightly_marlin.audio import mel_spectrogram
from lightly_marlin.lip_sync import (
    SyncExpert,
    TalkingFace,
    measure_video,
    sync_curve,
    sync_score,
    video_sync_distances,
)


@pytest.fixture(scope="module")
def face():
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    samples = random.uniform(-0.5, 0.5, 24 * 640).astype(np.float32)
    return TalkingFace(frames, samples, 0.0)


def test_measure_video__by_an_expert(face):
    torch.manual_seed(0)
    expert = SyncExpert(width=1).eval()
    reading = measure_video(expert, face)
    frames = torch.from_numpy(face.frames).permute(3, 0, 1, 2)
    curve = sync_curve(expert, frames, mel_spectrogram(face.samples), 25)
    assert reading.offset == curve.offset
    np.testing.assert_allclose(1 - reading.distances, curve.similarity, rtol=1e-5)
    assert reading.distance == reading.distances.min()
    median = float(np.median(reading.distances))
    assert reading.confidence == pytest.approx(median - reading.distance, abs=1e-6)


def test_measure_video__by_syncnet(face, syncnet):
    short = TalkingFace(face.frames[:8], face.samples[: 8 * 640], 0.0)
    reading = measure_video(syncnet, short)
    distances = video_sync_distances(syncnet, short.frames, short.samples, 25)
    score = sync_score(distances)
    assert (reading.distance, reading.confidence) == (score.lse_d, score.lse_c)
    assert reading.offset == score.offset
    assert reading.distances.shape == (31,)


@pytest.mark.parametrize(("kind", "needed"), [("expert", 20), ("syncnet", 6)])
def test_measure_video__none_of_short_videos(kind, needed, face, syncnet):
    network = syncnet if kind == "syncnet" else SyncExpert(width=1)
    for count, measured in ((needed - 1, False), (needed, True)):
        part = TalkingFace(face.frames[:count], face.samples[: 640 * count], 0.0)
        assert (measure_video(network, part) is not None) == measured
