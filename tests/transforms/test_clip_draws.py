import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.data import ResumableClipSampler
from lightly_marlin.transforms.clip_draws import ClipDraws, step_positions


def split_mix(state):
    """SplitMix64 as published, with Python's integers."""
    word = 2**64 - 1
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & word
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & word
    return state ^ (state >> 31)


def transcription(seed, position, draw, index, stream):
    """A number in words: clip, draw and index are mixed one after the other."""
    golden, word = 0x9E3779B97F4A7C15, 2**64 - 1
    start, draws = np.random.SeedSequence([seed, stream]).generate_state(2, np.uint64)
    clip = split_mix((int(start) + (position + 1) * golden) & word)
    key = split_mix(clip ^ split_mix((int(draws) + (draw + 1) * golden) & word))
    return (split_mix((key + (index + 1) * golden) & word) >> 40) / 2**24


@given(
    seed=st.integers(0, 2**32 - 1),
    position=st.integers(0, 2**40),
    stream=st.integers(0, 4),
)
@settings(max_examples=50, deadline=None)
def test_clip_draws__as_written_in_words(seed, position, stream):
    draws = ClipDraws(seed, [position, 7], stream=stream)
    for draw in range(2):
        drawn = draws.uniform((2, 3))
        expected = [
            [transcription(seed, place, draw, index, stream) for index in range(3)]
            for place in (position, 7)
        ]
        assert drawn.tolist() == expected


def test_clip_draws__numbers_of_this_version():
    """A run that is resumed relies on them."""
    drawn = ClipDraws(3, [0, 10**12], stream=1).uniform((2, 2), dtype=torch.float64)
    assert drawn.tolist() == [
        [0.029203542183062203, 0.7771517179459737],
        [0.06368025864412341, 0.8438052955418472],
    ]


@given(
    seed=st.integers(0, 2**32 - 1),
    places=st.lists(st.integers(0, 2**40), min_size=1, max_size=9),
    batch_dim=st.integers(0, 2),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=50, deadline=None)
def test_clip_draws__independent_of_the_batch(seed, places, batch_dim, dtype):
    shape = [2, 3]
    shape.insert(batch_dim, len(places))
    options = {"batch_dim": batch_dim, "dtype": dtype}
    together = ClipDraws(seed, places)
    whole = [together.uniform(tuple(shape), **options) for _ in range(2)]
    spread = together.spread()
    shape[batch_dim] = 1
    for row, place in enumerate(places):
        alone = ClipDraws(seed, torch.tensor([place]))
        for drawn in whole:
            one = alone.uniform(tuple(shape), **options)
            assert torch.equal(one, drawn.narrow(batch_dim, row, 1))
            assert one.dtype == dtype
            assert one.min() >= 0
            assert one.max() < 1
        assert torch.equal(alone.spread(), spread[row : row + 1])


def numbers_of(kind):
    """2**16 numbers: of one clip and draw, or the first of many clips, draws, seeds."""
    if kind == "numbers":
        return ClipDraws(0, [5]).uniform((1, 2**16))[0]
    if kind == "clips":
        return ClipDraws(0, range(2**16)).uniform((2**16, 1))[:, 0]
    if kind == "draws":
        draws = ClipDraws(0, range(16))
        return torch.stack([draws.uniform((16,)) for _ in range(2**12)], 1).flatten()
    return torch.stack(
        [ClipDraws(seed, range(64)).uniform((64,)) for seed in range(2**10)], 1
    ).flatten()


@pytest.mark.parametrize("kind", ["numbers", "clips", "draws", "seeds"])
def test_clip_draws__uniform_and_independent(kind):
    """Chi-squared of the numbers and of pairs, 4 deviations at most; no correlation."""
    drawn = numbers_of(kind)
    for lag in (0, 1, 2, 16):
        cells = (drawn * 16).long()
        if lag:
            cells = 16 * cells[:-lag] + cells[lag:]
            between = torch.corrcoef(torch.stack([drawn[:-lag], drawn[lag:]]))[0, 1]
            assert abs(between) < 4 / len(drawn) ** 0.5
        counts = cells.bincount().double()
        mean = len(cells) / len(counts)
        statistic = float(((counts - mean) ** 2 / mean).sum())
        freedom = len(counts) - 1
        assert abs(statistic - freedom) < 4 * (2 * freedom) ** 0.5


def test_clip_draws__streams_and_seeds_differ():
    drawn = {
        tuple(ClipDraws(seed, [3], stream=stream).uniform((1, 4))[0].tolist())
        for seed in range(50)
        for stream in range(5)
    }
    assert len(drawn) == 250


@pytest.mark.parametrize("batch", [1, 2, 16, 40, 256])
def test_clip_draws__spread_divides_every_batch(batch):
    """Each half of the circle gets half of any run of clips but for two."""
    for start in (0, 17, 10**12):
        place = ClipDraws(1, step_positions(batch, start)).spread()
        assert abs(int((place < 0.5).sum()) - batch / 2) <= 2
    firsts = torch.stack([ClipDraws(seed, [9]).spread() for seed in range(1000)])
    assert abs(float(firsts.mean()) - 0.5) < 0.04


def test_clip_draws__generator_for_a_whole_batch():
    first, again, other = (
        torch.rand(3, generator=ClipDraws(0, places).generator())
        for places in ([4, 5], [4, 9], [5, 4])
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    ClipDraws(0, []).generator()


def test_clip_draws__leave_the_global_generator_alone():
    state = torch.get_rng_state()
    ClipDraws(0, [0]).uniform((1, 9))
    assert torch.equal(torch.get_rng_state(), state)


def test_clip_draws__another_number_of_clips():
    with pytest.raises(ValueError, match=r"Invalid shape \(3, 4\): dimension 0 must b"):
        ClipDraws(0, [1, 2]).uniform((3, 4))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_step_positions__those_of_the_sampler(world_size):
    """Tracks that are not shuffled tell the position."""
    for rank in range(world_size):
        sampler = ResumableClipSampler(
            10**6, start_sample=60, shuffle=False, rank=rank, world_size=world_size
        )
        places = [index for (index, _), _ in zip(sampler, range(8), strict=False)]
        assert step_positions(8, 60, rank, world_size).tolist() == places
