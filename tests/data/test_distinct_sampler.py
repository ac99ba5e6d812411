import itertools
import pickle
from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lightly_marlin.data import DistinctGroupSampler
from lightly_marlin.data.distinct_sampler import _full_batches

GROUPS = st.lists(st.integers(0, 12), min_size=1, max_size=60)


def take(sampler, count):
    return list(itertools.islice(sampler, count))


def batches(sampler, batch_size, count):
    pairs = take(sampler, batch_size * count)
    return [pairs[i * batch_size : (i + 1) * batch_size] for i in range(count)]


@settings(max_examples=60, deadline=None)
@given(groups=GROUPS, batch_size=st.integers(1, 6), seed=st.integers(0, 2**40))
def test_batches_hold_no_two_tracks_of_a_group(groups, batch_size, seed):
    assume(len(set(groups)) >= batch_size)
    sampler = DistinctGroupSampler(groups, batch_size, seed=seed)
    for batch in batches(sampler, batch_size, 3 * len(groups) // batch_size):
        assert len({groups[index] for index, _ in batch}) == batch_size


@settings(max_examples=60, deadline=None)
@given(groups=GROUPS, batch_size=st.integers(1, 6), seed=st.integers(0, 2**40))
def test_epochs_hold_no_track_twice(groups, batch_size, seed):
    assume(len(set(groups)) >= batch_size)
    sampler = DistinctGroupSampler(groups, batch_size, seed=seed)
    length = sampler.epoch_length
    pairs = take(sampler, 3 * length)
    for epoch in range(3):
        part = pairs[epoch * length : (epoch + 1) * length]
        assert len({index for index, _ in part}) == length
        assert {draw for _, draw in part} == {epoch}


@settings(max_examples=100, deadline=None)
@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=12), data=st.data())
def test_epochs_are_as_long_as_can_be(sizes, data):
    """Against trying every number of batches."""
    batch_size = data.draw(st.integers(1, len(sizes)))
    possible = [
        k
        for k in range(1, sum(sizes) + 1)
        if sum(min(n, k) for n in sizes) >= k * batch_size
    ]
    assert _full_batches(torch.tensor(sizes), batch_size) == max(possible)


def test_known_epoch_lengths():
    """All tracks of equal groups; a group too large takes part once per batch."""
    assert DistinctGroupSampler(["a", "b"] * 5, 2).epoch_length == 10
    assert DistinctGroupSampler(["a"] * 9 + ["b", "c"], 2).epoch_length == 4
    assert DistinctGroupSampler(range(10), 4).epoch_length == 8


def test_what_is_left_out_takes_part_in_other_epochs():
    groups = ["a"] * 6 + ["b", "c", "d"]
    sampler = DistinctGroupSampler(groups, 2)
    assert sampler.epoch_length == 6
    counts = Counter(index for index, _ in take(sampler, 6 * 400))
    assert set(counts) == set(range(9))
    # Half of the places of an epoch are the large group's: three of its six tracks.
    assert all(150 < counts[index] < 250 for index in range(6))
    assert all(counts[index] == 400 for index in range(6, 9))


def test_ranks_share_the_batches():
    groups = [number // 3 for number in range(36)]
    whole = take(DistinctGroupSampler(groups, 6, start_sample=6), 24)
    ranks = [
        take(
            DistinctGroupSampler(groups, 6, start_sample=6, rank=rank, world_size=3), 8
        )
        for rank in range(3)
    ]
    assert [pair for step in zip(*ranks, strict=True) for pair in step] == whole
    step = [pair for rank in ranks for pair in rank[:2]]
    assert len({groups[index] for index, _ in step}) == 6


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**40), steps=st.integers(0, 40))
def test_resumes_at_any_step(seed, steps):
    groups = ["a"] * 5 + ["b"] * 3 + ["c", "d", "e"]
    whole = DistinctGroupSampler(groups, 3, seed=seed)
    resumed = DistinctGroupSampler(groups, 3, seed=seed, start_sample=3 * steps)
    assert take(resumed, 12) == take(whole, 3 * steps + 12)[3 * steps :]


def test_orders_differ_between_seeds_and_epochs():
    orders = {
        tuple(index for index, _ in take(sampler, 48))
        for seed in range(3)
        for start in (0, 48)
        for sampler in [
            DistinctGroupSampler(range(48), 8, seed=seed, start_sample=start)
        ]
    }
    assert len(orders) == 6


def test_partners_are_mixed():
    """Two groups of one track each meet about as often as chance says."""
    sampler = DistinctGroupSampler(range(12), 4, seed=1)
    meetings = Counter(
        frozenset(pair)
        for batch in batches(sampler, 4, 3000)
        for pair in itertools.combinations([index for index, _ in batch], 2)
    )
    # 6 of the 66 pairs meet in a batch.
    expected = 3000 * 6 / 66
    assert len(meetings) == 66
    assert max(abs(count - expected) for count in meetings.values()) < 80


def test_length_and_pickle():
    sampler = DistinctGroupSampler("abcabc", 3, num_samples=9)
    assert len(sampler) == len(list(sampler)) == 9
    assert list(pickle.loads(pickle.dumps(sampler))) == list(sampler)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": [], "total_batch": 1}, "Invalid tracks 0"),
        ({"total_batch": 0}, "Invalid total_batch 0: must be a positive multiple"),
        ({"total_batch": 3, "world_size": 2}, "Invalid total_batch 3: .* world_size 2"),
        ({"start_sample": 3}, "Invalid start_sample 3: .* total_batch 2"),
        ({"total_batch": 4}, "total_batch 4: there are 3 groups.*Lower the batch size"),
        ({"rank": 1}, r"Invalid rank 1: must be in \[0, 1\)"),
    ],
)
def test_invalid(arguments, message):
    with pytest.raises(ValueError, match=message):
        DistinctGroupSampler(**{"groups": "aabbc", "total_batch": 2, **arguments})
