"""Promises that tube, frame, random and multi-block masks share."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.transforms import (
    frame_token_mask,
    multiblock_token_mask,
    random_tubelet_mask,
    tube_token_mask,
)

STRATEGIES = [
    tube_token_mask,
    frame_token_mask,
    random_tubelet_mask,
    multiblock_token_mask,
]
RELEASED = (8, 14, 14)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_grid_masks__released_counts(strategy):
    kept, masked = strategy((3, RELEASED))
    assert kept.shape == (3, 156)
    assert masked.shape == (3, 1412)


@settings(max_examples=40, deadline=None)
@given(
    strategy=st.sampled_from(STRATEGIES),
    grid=st.tuples(st.integers(1, 8), st.integers(1, 6), st.integers(1, 6)),
    mask_ratio=st.floats(0.05, 0.95),
    prefix=st.integers(0, 2),
)
def test_grid_masks__partition(strategy, grid, mask_ratio, prefix):
    total = math.prod(grid)
    if int(total * (1 - mask_ratio)) == 0:
        with pytest.raises(ValueError, match="leaves none of"):
            strategy((2, grid), mask_ratio)
        return
    kept, masked = strategy((2, grid), mask_ratio, num_prefix_tokens=prefix)
    assert kept.shape[1] == int(total * (1 - mask_ratio)) + prefix
    for row in range(2):
        assert kept[row, :prefix].tolist() == list(range(prefix))
        tokens = kept[row].tolist() + masked[row].tolist()
        assert sorted(tokens) == list(range(total + prefix))
        assert kept[row].tolist() == sorted(kept[row].tolist())


def test_grid_masks__no_rounding_up_of_whole_numbers():
    """100 * (1 - 0.7) is 30.000000000000004 in floating point."""
    kept, _ = frame_token_mask((5, (10, 4, 4)), 0.7)
    assert all(len((row // 16).unique()) == 3 for row in kept)
    kept, _ = tube_token_mask((5, (2, 10, 10)), 0.7)
    assert all(len((row % 100).unique()) == 30 for row in kept)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_grid_masks__generator(strategy):
    draws = [
        strategy((2, RELEASED), generator=torch.Generator().manual_seed(seed))[0]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("size", "mask_ratio", "message"),
    [
        ((2, (8, 14)), 0.9, r"Invalid size .* Supported is \(B, \(t, h, w\)\)"),
        ((-1, RELEASED), 0.9, "all numbers must be positive, B may be 0"),
        ((2, (0, 14, 14)), 0.9, "all numbers must be positive, B may be 0"),
        ((2, RELEASED), 1.5, r"Invalid mask_ratio 1\.5"),
    ],
)
def test_grid_masks__errors(strategy, size, mask_ratio, message):
    with pytest.raises(ValueError, match=message):
        strategy(size, mask_ratio)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_grid_masks__no_clips(strategy):
    kept, masked = strategy((0, RELEASED), 0.9, num_prefix_tokens=1)
    assert (kept.shape, masked.shape) == ((0, 157), (0, 1412))
