"""Conversion between boolean masks and token indices.

True means masked here, as in Lightly and in `bool_masked_pos` of Hugging Face. (The
released MARLIN code uses True for visible.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.transforms.token_selection import split_tokens

__all__ = ["indices_to_mask", "mask_to_indices"]


def mask_to_indices(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Converts a boolean mask to token indices.

    Args:
        mask: Boolean tensor with shape (B, N), True where masked; every row masks the
            same number of tokens.

    Returns:
        Tuple (idx_keep, idx_mask) of ascending int64 indices with shapes (B, n_keep)
        and (B, n_mask).

    Raises:
        ValueError: If shape or dtype are wrong or rows mask different numbers.
    """
    if mask.dtype != torch.bool or mask.ndim != 2:
        raise ValueError(
            "Invalid mask: must be a boolean tensor with shape (B, N), got "
            f"{mask.dtype} with shape {tuple(mask.shape)}."
        )
    counts = sorted(set(mask.sum(dim=1).tolist()))
    if len(counts) > 1:
        raise ValueError(
            "Invalid mask: every row must mask the same number of tokens, got rows "
            f"with {', '.join(map(str, counts))}."
        )
    num_masked = counts[0] if counts else 0
    return split_tokens(~mask, mask.shape[1] - num_masked)


def indices_to_mask(idx_mask: Tensor, num_tokens: int) -> Tensor:
    """Converts the indices of masked tokens to a boolean mask.

    Args:
        idx_mask: int64 tensor with shape (B, n_mask) in [0, num_tokens).
        num_tokens: N.

    Returns:
        Boolean tensor with shape (B, N), True where masked.

    Raises:
        ValueError: If shape or dtype are wrong or, on the CPU, an index is out of
            range.
    """
    if idx_mask.dtype != torch.int64 or idx_mask.ndim != 2:
        raise ValueError(
            "Invalid idx_mask: must be an int64 tensor with shape (B, n_mask), got "
            f"{idx_mask.dtype} with shape {tuple(idx_mask.shape)}."
        )
    # On other devices, reading values would make the host wait.
    if idx_mask.numel() and idx_mask.device.type == "cpu":
        low, high = (int(value) for value in torch.aminmax(idx_mask))
        if low < 0 or high >= num_tokens:
            raise ValueError(
                f"Invalid idx_mask: indices must be in [0, {num_tokens}), got "
                f"[{low}, {high}]."
            )
    mask = torch.zeros(
        len(idx_mask), num_tokens, dtype=torch.bool, device=idx_mask.device
    )
    return mask.scatter_(1, idx_mask, True)
