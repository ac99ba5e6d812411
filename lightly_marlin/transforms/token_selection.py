"""Selection of exactly n visible tokens, shared by all masking strategies.

Everything here is batched, runs on the device of its input, and never reads a value
from the device, so it works in CUDA graphs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightly_marlin.transforms.clip_draws import ClipDraws, Randomness

__all__ = [
    "check_mask_ratio",
    "copy_to_device",
    "draw_uniform",
    "num_visible",
    "num_visible_at_least",
    "select_tokens",
    "split_tokens",
]


def check_mask_ratio(mask_ratio: float) -> None:
    """Raises ValueError unless `mask_ratio` is in (0, 1)."""
    if not 0.0 < mask_ratio < 1.0:
        raise ValueError(
            f"Invalid mask_ratio {mask_ratio}. Supported values are in (0, 1), both "
            "ends excluded."
        )


def num_visible(num_tokens: int, mask_ratio: float) -> int:
    """Returns the number of visible tokens of `num_tokens`, rounded down as in MARLIN.

    Raises:
        ValueError: If there is no token, or the ratio is not in (0, 1) or leaves no
            token visible.
    """
    check_mask_ratio(mask_ratio)
    if num_tokens < 1:
        raise ValueError("Invalid size of a clip: it has no token to mask.")
    visible = int(num_tokens * (1 - mask_ratio))
    if visible == 0:
        raise ValueError(
            f"Invalid mask_ratio {mask_ratio}: it leaves none of {num_tokens} tokens "
            f"visible. Use at most {1 - 1 / num_tokens:.4f}."
        )
    return visible


def num_visible_at_least(num_tokens: int, mask_ratio: float) -> int:
    """Returns the visible share of `num_tokens`, rounded up, for tubes and frames.

    The slack keeps 30 of 100 at a ratio of 0.7, although 1 - 0.7 is a little more.
    """
    return max(1, math.ceil(num_tokens * (1 - mask_ratio) - 1e-6))


def draw_uniform(
    shape: tuple[int, ...],
    device: torch.device | None,
    generator: Randomness | None,
    *,
    batch_dim: int = 0,
) -> Tensor:
    """Draws float32 uniforms in [0, 1).

    A generator on another device than `device` draws on its own device and the numbers
    are copied, so a CPU generator gives the same masks on every machine, and so do
    `ClipDraws`.

    Args:
        shape: Shape of the result.
        device: Device of the result.
        generator: Source of randomness; None for torch's global one.
        batch_dim: Dimension of clips in `shape`.
    """
    if isinstance(generator, ClipDraws):
        drawn = generator.uniform(shape, batch_dim=batch_dim)
        return copy_to_device(drawn, device)
    source = device if generator is None else generator.device
    # From pageable memory a copy would wait until the GPU has come to it.
    pinned = _goes_to_cuda(source, device)
    uniform = torch.rand(shape, generator=generator, device=source, pin_memory=pinned)
    return uniform if device is None else uniform.to(device, non_blocking=True)


def copy_to_device(drawn: Tensor, device: torch.device | None) -> Tensor:
    """Returns numbers drawn on the CPU on a device, which nothing waits for."""
    if device is None:
        return drawn
    if _goes_to_cuda(drawn.device, device):
        drawn = drawn.pin_memory()
    return drawn.to(device, non_blocking=True)


def _goes_to_cuda(source: torch.device | None, target: torch.device | None) -> bool:
    from_cpu = source is None or source.type == "cpu"
    return from_cpu and target is not None and target.type == "cuda"


def select_tokens(
    candidates: Tensor, count: int, generator: Randomness | None
) -> Tensor:
    """Draws `count` candidates per row, uniformly and without replacement.

    A row with fewer candidates gives all of them, and random other tokens.

    Args:
        candidates: Boolean tensor with shape (..., N).
        count: Number to select, up to N.
        generator: Source of randomness; None for torch's global one.

    Returns:
        Boolean tensor with shape (..., N), True where selected.
    """
    scores = draw_uniform(tuple(candidates.shape), candidates.device, generator)
    scores = torch.where(candidates, scores, scores + 1)
    chosen = scores.topk(count, dim=-1, largest=False).indices
    return torch.zeros_like(candidates).scatter_(-1, chosen, True)


def split_tokens(
    visible: Tensor, num_keep: int, num_prefix_tokens: int = 0
) -> tuple[Tensor, Tensor]:
    """Turns a mask with exactly `num_keep` visible tokens per row into indices.

    Args:
        visible: Boolean tensor with shape (B, N).
        num_keep: Number of True in every row.
        num_prefix_tokens: Class tokens before the patch tokens, always kept.

    Returns:
        idx_keep with shape (B, num_prefix_tokens + num_keep) and idx_mask with shape
        (B, N - num_keep), int64 and ascending.
    """
    order = visible.logical_not().to(torch.uint8).argsort(dim=1, stable=True)
    idx_keep, idx_mask = order[:, :num_keep], order[:, num_keep:]
    if num_prefix_tokens == 0:
        return idx_keep, idx_mask
    prefix = torch.arange(num_prefix_tokens, device=visible.device)
    prefix = prefix.expand(len(visible), -1)
    idx_keep = torch.cat([prefix, idx_keep + num_prefix_tokens], dim=1)
    return idx_keep, idx_mask + num_prefix_tokens
