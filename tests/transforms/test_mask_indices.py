import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.transforms import indices_to_mask, mask_to_indices


def test_mask_to_indices__known_values():
    mask = torch.tensor([[True, False, True], [False, True, True]])
    kept, masked = mask_to_indices(mask)
    assert kept.tolist() == [[1], [0]]
    assert masked.tolist() == [[0, 2], [1, 2]]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 30), st.data())
def test_mask_to_indices__round_trip(batch, tokens, data):
    count = data.draw(st.integers(0, tokens))
    rows = [torch.randperm(tokens)[:count].sort().values for _ in range(batch)]
    idx_mask = torch.stack(rows)
    mask = indices_to_mask(idx_mask, tokens)
    assert mask.sum() == batch * count
    kept, masked = mask_to_indices(mask)
    assert torch.equal(masked, idx_mask)
    assert kept.shape == (batch, tokens - count)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.zeros(2, 3), "must be a boolean tensor"),
        (torch.zeros(3, dtype=torch.bool), r"got torch\.bool with shape \(3,\)"),
        (torch.tensor([[True, True], [True, False]]), "rows with 1, 2"),
    ],
)
def test_mask_to_indices__errors(mask, message):
    with pytest.raises(ValueError, match=message):
        mask_to_indices(mask)


@pytest.mark.parametrize(
    ("idx_mask", "message"),
    [
        (torch.zeros(2, 3), "must be an int64 tensor"),
        (torch.tensor([[0, 5]]), r"must be in \[0, 5\), got \[0, 5\]"),
        (torch.tensor([[-1, 2]]), r"got \[-1, 2\]"),
    ],
)
def test_indices_to_mask__errors(idx_mask, message):
    with pytest.raises(ValueError, match=message):
        indices_to_mask(idx_mask, 5)
