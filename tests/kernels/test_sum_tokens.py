"""Sums of token gradients equal those of the dense scatter."""

import pytest
import torch
from naive_kernels import random_idx
from torch.library import opcheck

from lightly_marlin.kernels.sum_tokens import sum_over_clips_op, sum_rows_op


def _rows(batch_size, count, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch_size, count, 6, generator=generator).to(dtype)


@pytest.mark.parametrize(("batch_size", "count"), [(1, 1), (3, 4), (1, 9), (5, 9)])
@pytest.mark.parametrize("repeated", [False, True])
def test_sum_over_clips(batch_size, count, repeated):
    rows, idx = _rows(batch_size, count), random_idx(batch_size, count, 9)
    if repeated:
        idx[0] = idx[0, 0]
    expected = torch.zeros(9, 6, dtype=torch.float64)
    for clip, tokens in enumerate(idx.tolist()):
        for place, token in enumerate(tokens):
            expected[token] += rows[clip, place]
    result = sum_over_clips_op(rows, idx, 9, torch.float32)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("batch_size", "count"), [(1, 1), (3, 5), (2, 0), (64, 40)])
def test_sum_rows(dtype, batch_size, count):
    """Of rows that start within a sequence, as the gradient of mask tokens does."""
    rows = _rows(batch_size, count + 2, dtype)[:, 2:]
    result = sum_rows_op(rows, torch.float32)
    torch.testing.assert_close(
        result.double(), rows.double().sum(dim=(0, 1)), rtol=1e-5, atol=1e-4
    )


def test_half_precision_is_summed_in_float32():
    """257 is no bfloat16, so a sum of rounded sums would stay at 256."""
    rows = torch.ones(66, 4, 1, dtype=torch.bfloat16)
    idx = torch.zeros(66, 4, dtype=torch.int64)
    assert sum_rows_op(rows, torch.bfloat16).item() == 264
    assert sum_over_clips_op(rows, idx, 1, torch.bfloat16).item() == 264


def test_opcheck():
    opcheck(sum_rows_op, (_rows(2, 3), torch.bfloat16))
    opcheck(sum_over_clips_op, (_rows(2, 3), random_idx(2, 3, 9), 9, torch.float32))
