import itertools
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.data import ResumableClipSampler


def take(sampler, count):
    return list(itertools.islice(sampler, count))


@settings(max_examples=25, deadline=None)
@given(
    tracks=st.integers(1, 20),
    seed=st.integers(0, 2**40),
    start=st.integers(0, 100),
    shuffle=st.booleans(),
)
def test_sampler_resumes_anywhere(tracks, seed, start, shuffle):
    whole = ResumableClipSampler(tracks, seed=seed, shuffle=shuffle)
    resumed = ResumableClipSampler(
        tracks, seed=seed, shuffle=shuffle, start_sample=start
    )
    assert take(resumed, 30) == take(whole, start + 30)[start:]


@settings(max_examples=25, deadline=None)
@given(tracks=st.integers(1, 20), seed=st.integers(0, 2**40))
def test_sampler_epochs_are_permutations(tracks, seed):
    pairs = take(ResumableClipSampler(tracks, seed=seed), 3 * tracks)
    for epoch in range(3):
        part = pairs[epoch * tracks : (epoch + 1) * tracks]
        assert sorted(index for index, _ in part) == list(range(tracks))
        assert {draw for _, draw in part} == {epoch}


@settings(max_examples=25, deadline=None)
@given(tracks=st.integers(1, 20), world=st.integers(1, 5), start=st.integers(0, 50))
def test_sampler_ranks_share_the_samples(tracks, world, start):
    whole = take(ResumableClipSampler(tracks, start_sample=start), 8 * world)
    ranks = [
        take(
            ResumableClipSampler(
                tracks, start_sample=start, rank=rank, world_size=world
            ),
            8,
        )
        for rank in range(world)
    ]
    assert [pair for step in zip(*ranks, strict=True) for pair in step] == whole


def test_sampler_order():
    assert take(ResumableClipSampler(3, shuffle=False), 4) == [
        (0, 0),
        (1, 0),
        (2, 0),
        (0, 1),
    ]
    orders = {
        tuple(take(ResumableClipSampler(50, seed=seed, start_sample=start), 50))
        for seed in range(3)
        for start in (0, 50)
    }
    assert len(orders) == 6


def test_sampler_length_and_pickle():
    sampler = ResumableClipSampler(range(7), num_samples=10)
    assert len(sampler) == len(list(sampler)) == 10
    assert list(pickle.loads(pickle.dumps(sampler))) == list(sampler)
    with pytest.raises(TypeError, match="This sampler has no end"):
        len(ResumableClipSampler(7))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tracks": 0}, "Invalid tracks 0: must be at least 1"),
        ({"tracks": 1, "start_sample": -1}, "Invalid start_sample -1"),
        ({"tracks": 1, "rank": 2, "world_size": 2}, r"Invalid rank 2: .* \[0, 2\)"),
        ({"tracks": 1, "num_samples": -1}, "Invalid num_samples -1"),
    ],
)
def test_sampler_invalid(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResumableClipSampler(**arguments)
