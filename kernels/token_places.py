"""Inverse of token indices, with which a scatter becomes a gather.

A gradient that is gathered is written once, by one program, in a fixed order of
additions; atomic additions of floats would make it vary from run to run. The table is
built with integer atomics, whose result does not depend on their order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.kernels.dispatch import require_rows
from lightly_marlin.kernels.triton_language import jit, launch, tl

__all__ = ["add_scattered_rows", "launch_token_places"]

_BLOCK = 256


@jit
def _token_places_kernel(
    idx_ptr: tl.tensor,  # (B, n), any strides
    places_ptr: tl.tensor,  # (2, B, N) int32, zeros: n - first place, number of places
    num_rows: tl.tensor,
    num_chosen: tl.tensor,
    num_slots: tl.tensor,
    num_tokens: tl.tensor,
    idx_stride_b: tl.tensor,
    idx_stride_n: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """Enters BLOCK indices into the table; grid (blocks of B * n,)."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    # Divided in 32 bits, which is cheap, and multiplied in 64, which is safe.
    clips = (rows // num_chosen).to(tl.int64)
    places = (rows % num_chosen).to(tl.int64)
    token = tl.load(
        idx_ptr + clips * idx_stride_b + places * idx_stride_n,
        mask=rows < num_rows,
        other=-1,
    )
    exists = (token >= 0) & (token < num_tokens)
    slot_ptr = places_ptr + clips * num_tokens + token
    last = (num_chosen - places).to(tl.int32)
    tl.atomic_max(slot_ptr, last, mask=exists, sem="relaxed")
    one = tl.full((BLOCK,), 1, tl.int32)
    tl.atomic_add(slot_ptr + num_slots, one, mask=exists, sem="relaxed")


@jit
def add_scattered_rows(
    rows_ptr: tl.tensor,  # (B, n, D), any strides
    idx_ptr: tl.tensor,  # (B, n), any strides
    places_ptr: tl.tensor,  # (2, B, N) int32
    clips: tl.tensor,  # (R,) int64
    token: tl.tensor,  # (R,) int64
    valid: tl.tensor,  # (R,) bool
    columns: tl.tensor,  # (K,) int64
    num_chosen: tl.tensor,
    num_slots: tl.tensor,
    num_tokens: tl.tensor,
    dim: tl.tensor,
    rows_stride_b: tl.tensor,
    rows_stride_n: tl.tensor,
    rows_stride_d: tl.tensor,
    idx_stride_b: tl.tensor,
    idx_stride_n: tl.tensor,
) -> tl.tensor:
    """Returns (R, K) float32: the sums of the rows of each (clip, token)."""
    slot_ptr = places_ptr + clips * num_tokens + token
    place = num_chosen - tl.load(slot_ptr, mask=valid, other=0).to(tl.int64)
    left = tl.load(slot_ptr + num_slots, mask=valid, other=0)
    inside = (columns < dim)[None, :]
    shift = (columns * rows_stride_d)[None, :]
    first = clips * rows_stride_b + place * rows_stride_n
    total = tl.load(
        rows_ptr + first[:, None] + shift, mask=(left > 0)[:, None] & inside, other=0.0
    ).to(tl.float32)
    left -= 1
    # Only clips that chose a token twice get here; places ascend, so the order of the
    # additions is fixed.
    while tl.max(left, axis=0) > 0:
        place += 1
        other = tl.load(
            idx_ptr + clips * idx_stride_b + place * idx_stride_n,
            mask=left > 0,
            other=-1,
        )
        same = other == token
        first = clips * rows_stride_b + place * rows_stride_n
        total += tl.load(
            rows_ptr + first[:, None] + shift, mask=same[:, None] & inside, other=0.0
        ).to(tl.float32)
        left -= same.to(tl.int32)
    return total


def launch_token_places(idx: Tensor, num_tokens: int) -> Tensor:
    """Runs the kernel.

    Args:
        idx: (B, n) int64 in [0, N).
        num_tokens: N.

    Returns:
        (2, B, N) int32: n minus the first place k with idx[b, k] == token, then how
        many such places there are; zeros for a token that was not chosen.
    """
    batch_size, num_chosen = idx.shape
    require_rows(idx.numel())
    places = torch.zeros(
        (2, batch_size, num_tokens), dtype=torch.int32, device=idx.device
    )
    launch(
        _token_places_kernel,
        (-(-idx.numel() // _BLOCK),),
        idx,
        places,
        idx.numel(),
        num_chosen,
        batch_size * num_tokens,
        num_tokens,
        *idx.stride(),
        BLOCK=_BLOCK,
        num_warps=4,
    )
    return places
