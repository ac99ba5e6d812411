"""Distances by shift: a transcription of the evaluation, and shifts that are known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.lip_sync import sync_distances, sync_score


def naive_distances(video, audio, reach=15):
    """m(d), one pair of vectors after another."""
    result = []
    for shift in range(-reach, reach + 1):
        total = 0.0
        for t in range(len(video)):
            inside = 0 <= t + shift < len(audio)
            sound = audio[t + shift] if inside else np.zeros_like(video[t])
            total += np.sqrt(np.sum((video[t] - sound + 1e-6) ** 2))
        result.append(total / len(video))
    return np.array(result)


def naive_score(distances):
    least = min(distances)
    index = list(distances).index(least)
    middle = sorted(distances)[len(distances) // 2]
    return least, middle - least, len(distances) // 2 - index


def directions(count, seed=0):
    """Unit vectors, far from each other."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, 64, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(vectors, dim=1)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 99), st.integers(0, 15))
def test_distances__equal_the_transcription(length, width, seed, reach):
    random = np.random.default_rng(seed)
    video, audio = random.standard_normal((2, length, width))
    found = sync_distances(torch.from_numpy(video), torch.from_numpy(audio), reach)
    expected = naive_distances(video, audio, reach)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(sync_score(found), naive_score(expected), rtol=1e-9)


@pytest.mark.parametrize("delay", range(-10, 11))
def test_offset__is_that_of_shifted_features(delay):
    """Sound of k frames later than the picture's has the offset -k."""
    count = 50
    source = directions(count + 20)
    video, audio = source[10 : 10 + count], source[10 - delay : 10 - delay + count]
    score = sync_score(sync_distances(video, audio))
    assert score.offset == -delay
    # Only the edge frames, which meet silence, are away from their sound: by 1.
    assert score.lse_d == pytest.approx(abs(delay) / count, abs=1e-5)


def test_distances__hand_made():
    """Three frames; the sound is one frame late, and zeros are 1 away."""
    video = torch.eye(3, dtype=torch.float64)
    audio = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    found = sync_distances(video, audio, max_shift=2)
    root = 2**0.5
    expected = [1, (1 + 1 + root) / 3, (1 + 2 * root) / 3, 1 / 3, (1 + 1 + root) / 3]
    np.testing.assert_allclose(found.numpy(), expected, atol=5e-6)
    score = sync_score(found)
    assert score.offset == -1
    assert score.lse_d == pytest.approx(1 / 3, abs=5e-6)
    assert score.lse_c == pytest.approx((2 + root) / 3 - 1 / 3, abs=5e-6)


def test_distances__of_one_window():
    """All shifts but none compare the picture with silence."""
    one = directions(1)
    found = sync_distances(one, one)
    assert found.shape == (31,)
    assert sync_score(found).offset == 0
    np.testing.assert_allclose(found[:15].numpy(), 1, atol=1e-5)
    np.testing.assert_allclose(found[16:].numpy(), 1, atol=1e-5)


def test_distances__equal_features_are_the_epsilon_apart():
    """As in torch's pairwise distance: 1e-6 in each of the 64 components."""
    one = directions(1)
    assert float(sync_distances(one, one, 0)) == pytest.approx(8e-6, rel=1e-6)


@pytest.mark.parametrize(
    ("video", "audio"), [((3, 4), (2, 4)), ((0, 4), (0, 4)), ((3,), (3,))]
)
def test_distances__shapes_have_to_be_equal(video, audio):
    with pytest.raises(ValueError, match=r"Invalid shapes: video \(.*\(n, D\)"):
        sync_distances(torch.zeros(video), torch.zeros(audio))
