"""The transpose of the gather of tokens: repeated tokens add up."""

import pytest
import torch
from naive_kernels import random_idx
from torch.library import opcheck

from lightly_marlin.kernels.scatter_tokens import scatter_tokens, scatter_tokens_op

FUNCTIONS = (scatter_tokens, scatter_tokens_op)


@pytest.mark.parametrize("scatter", FUNCTIONS)
def test_repeated_rows_add_up(scatter):
    rows = torch.tensor([[[1.0], [2.0], [4.0]], [[8.0], [16.0], [32.0]]])
    idx = torch.tensor([[0, 2, 2], [1, 1, 1]])
    expected = torch.tensor([[[1.0], [0.0], [6.0]], [[0.0], [56.0], [0.0]]])
    assert torch.equal(scatter(rows, idx, 3, torch.float32), expected)


@pytest.mark.parametrize("scatter", FUNCTIONS)
def test_half_precision_is_summed_in_float32(scatter):
    """257 is no bfloat16, so a sum of rounded sums would stay at 256."""
    rows = torch.ones(1, 264, 1, dtype=torch.bfloat16)
    idx = torch.zeros(1, 264, dtype=torch.int64)
    assert scatter(rows, idx, 1, torch.bfloat16).item() == 264


@pytest.mark.parametrize("scatter", FUNCTIONS)
def test_no_row_gives_zeros(scatter):
    rows, idx = torch.zeros(2, 0, 3), torch.zeros(2, 0, dtype=torch.int64)
    assert torch.equal(scatter(rows, idx, 4, torch.float32), torch.zeros(2, 4, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_opcheck(dtype):
    opcheck(scatter_tokens_op, (torch.randn(2, 3, 5), random_idx(2, 3, 7), 7, dtype))
