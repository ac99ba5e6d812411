import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.data import clip_sampler
from lightly_marlin.data.clip_sampler import ResumableClipSampler
from lightly_marlin.data.keyed_permutation import KeyedPermutation


@settings(max_examples=100, deadline=None)
@given(length=st.integers(1, 700), key=st.text(max_size=5))
def test_every_number_once(length, key):
    order = KeyedPermutation(length, key)
    assert len(order) == length
    assert sorted(order[place] for place in range(length)) == list(range(length))


def test_keys_give_other_orders():
    orders = {
        tuple(KeyedPermutation(50, str(key))[place] for place in range(50))
        for key in range(20)
    }
    assert len(orders) == 20


def test_values_are_mixed():
    """Places and values are uncorrelated, and so are neighbours."""
    length = 20_000
    order = KeyedPermutation(length, "seed")
    values = np.array([order[place] for place in range(length)])
    for other in (np.arange(length), np.roll(values, 1)):
        assert abs(np.corrcoef(values, other)[0, 1]) < 4 / length**0.5
    counts, _ = np.histogram(values[: length // 2], 10)
    assert abs(counts - 1000).max() < 4 * 1000**0.5


def test_huge_lengths_cost_nothing():
    order = KeyedPermutation(10**12, "x")
    values = [order[place] for place in range(1000)]
    assert len(set(values)) == 1000
    assert all(0 <= value < 10**12 for value in values)


def test_bad_arguments():
    with pytest.raises(ValueError, match="Invalid length 0"):
        KeyedPermutation(0, "")
    with pytest.raises(IndexError, match=r"Invalid place 3: must be in \[0, 3\)"):
        KeyedPermutation(3, "")[3]


def test_the_sampler_takes_it_for_many_tracks(monkeypatch):
    monkeypatch.setattr(clip_sampler, "MAX_LISTED", 10)
    pairs = list(ResumableClipSampler(11, num_samples=22))
    for epoch in range(2):
        part = pairs[11 * epoch : 11 * (epoch + 1)]
        assert sorted(part) == [(track, epoch) for track in range(11)]
    rest = ResumableClipSampler(11, start_sample=7, num_samples=15)
    assert list(rest) == pairs[7:]
    assert [t for t, _ in pairs[:11]] != [t for t, _ in pairs[11:]]
