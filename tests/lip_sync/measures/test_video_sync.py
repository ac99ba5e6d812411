"""One video: which frames and sounds are compared, and shifts that are known."""

import numpy as np
import pytest
import torch

from lightly_marlin.audio import mfcc
from lightly_marlin.lip_sync import sync_distances, sync_score, video_sync_distances


@pytest.mark.parametrize("delay", range(-10, 11))
def test_offset__of_shifted_sound_is_found(grey_net, talking_video, delay):
    """Sound that comes k frames after its picture has the offset -k."""
    frames, samples = talking_video(60, delay)
    distances = video_sync_distances(grey_net, frames, samples, 25.0)
    score = sync_score(distances)
    assert score.offset == -delay
    assert score.lse_c > 100


def test_distances__are_those_of_the_published_evaluation(syncnet):
    """A transcription: windows 0 to L - 6, of what picture and sound both have."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (9, 224, 224, 3), dtype=np.uint8)
    samples = 0.1 * random.standard_normal(8 * 640 + 500)
    length = min(len(frames), len(samples) // 640)
    bgr = torch.from_numpy(frames[..., ::-1].copy()).float().permute(3, 0, 1, 2)
    columns = torch.from_numpy(mfcc(samples))
    rows = range(length - 5)
    clips = torch.stack([bgr[:, t : t + 5] for t in rows])
    sounds = torch.stack([columns[None, :, 4 * t : 4 * t + 20] for t in rows])
    video, audio = syncnet(clips, sounds)
    padded = torch.nn.functional.pad(audio, (0, 0, 15, 15))
    pairs = [
        torch.nn.functional.pairwise_distance(video[[t]], padded[t : t + 31])
        for t in rows
    ]
    expected = torch.stack(pairs).mean(0)
    found = video_sync_distances(syncnet, frames, samples, 25)
    assert expected[15] > 1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_frames__at_another_rate_are_left_out(grey_net, talking_video):
    frames, samples = talking_video(30, delay=3)
    twice = np.repeat(frames, 2, axis=0)
    expected = video_sync_distances(grey_net, frames, samples, 25.0)
    found = video_sync_distances(grey_net, twice, samples, 50.0)
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("num_frames", "num_samples"),
    [(20, 40 * 640), (40, 20 * 640), (40, 20 * 640 + 639), (20, 20 * 640)],
)
def test_lengths__the_shorter_one_counts(
    grey_net, talking_video, num_frames, num_samples
):
    """Fifteen of the sixteen windows that twenty frames have."""
    frames, samples = talking_video(40, delay=2)
    found = video_sync_distances(
        grey_net, frames[:num_frames], samples[:num_samples], 25.0
    )
    grey = torch.tensor(frames[:19, 0, 0, 0].astype(float)).unfold(0, 5, 1)
    loudness = torch.tensor(256.0 * samples[: 19 * 640 : 640]).unfold(0, 5, 1)
    assert len(grey) == 15
    torch.testing.assert_close(found, sync_distances(grey, loudness.double()))


@pytest.mark.parametrize(
    ("num_frames", "num_samples", "fps", "measured"),
    [
        (6, 6 * 640, 25.0, True),
        (5, 6 * 640, 25.0, False),
        (6, 6 * 640 - 1, 25.0, False),
        (12, 6 * 640, 50.0, True),
        (11, 6 * 640, 60.0, False),
        (0, 6 * 640, 25.0, False),
        (6, 0, 25.0, False),
    ],
)
def test_lengths__six_frames_at_least(
    grey_net, talking_video, num_frames, num_samples, fps, measured
):
    frames, samples = talking_video(20)
    found = video_sync_distances(
        grey_net, frames[:num_frames], samples[:num_samples], fps
    )
    assert (found is not None) == measured


def test_samples__may_be_a_tensor(grey_net, talking_video):
    frames, samples = talking_video(10)
    expected = video_sync_distances(grey_net, frames, samples, 25.0)
    tensors = torch.from_numpy(frames), torch.from_numpy(samples)
    assert torch.equal(video_sync_distances(grey_net, *tensors, 25.0), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": np.zeros((9, 3, 8, 8), np.uint8)}, "shape of frames"),
        ({"samples": np.zeros((2, 9999))}, r"samples must have the shape \(n,\)"),
        ({"samples": np.zeros(9999, np.int16)}, "samples must be floats"),
        ({"fps": 0.0}, r"Invalid fps \(0.0\)"),
    ],
)
def test_arguments__odd_ones_are_named(grey_net, talking_video, change, message):
    frames, samples = talking_video(10)
    with pytest.raises(ValueError, match=message):
        video_sync_distances(
            grey_net, **{"frames": frames, "samples": samples, "fps": 25.0, **change}
        )
