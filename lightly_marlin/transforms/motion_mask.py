"""Motion-guided masks: what is visible stays visible where it moves to.

- [0]: MGMAE, 2023, https://arxiv.org/abs/2308.10794

The idea is that of [0]: a mask is drawn in one base frame and carried to the others by
the backward motion between frames, so that a visible token follows its content, and
nothing leaks from where a tube would stay behind. What departs from the paper:

- No optical flow network. The motion of each patch is the shift, in steps of a quarter
  patch and up to a whole patch, at which the difference of two frames is least (block
  matching). It is one shift per patch, not one per pixel, and nothing that moves more
  than a patch from tubelet to tubelet is followed.
- A shift must lower the mean difference by one of 255 grey levels per step of its
  length, so that noise does not move what stands still.
- The base is the tubelet in the middle of the clip, and its map is the plain mask.
  Where less visible content arrives in a tubelet than it must keep, random tokens fill
  up.
- As many tokens are visible in every tubelet, before the few of the whole clip that are
  too many are dropped at random, as in the released MARLIN's tube masks.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lightly_marlin.transforms.token_selection import (
    draw_uniform,
    num_visible,
    num_visible_at_least,
    select_tokens,
    split_tokens,
)

__all__ = ["motion_token_mask"]

_STEPS = 4
"""Steps of a shift in a patch; also the longest shift in steps, in each direction."""

_STILLNESS = 1 / 255
"""How much a shift must lower the mean grey difference, per step of its length."""


def motion_token_mask(
    videos: Tensor,
    mask_ratio: float = 0.9,
    *,
    patch_size: int = 16,
    tubelet_size: int = 2,
    num_prefix_tokens: int = 0,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks whose visible tokens follow the motion of a clip [0].

    In a clip without motion they are tube masks. The first frame of each tubelet
    decides.

    Args:
        videos:
            Tensor with shape (B, C, T, H, W), uint8 in [0, 255] or floating point in
            [0, 1].
        mask_ratio: Share of tokens to mask, in (0, 1).
        patch_size: Side of a patch in pixels, a multiple of 4 that divides H and W.
        tubelet_size: Frames per tubelet; divides T.
        num_prefix_tokens: Class tokens of the model: kept, first, shift the others.
        generator: Source of randomness, of any device; None for torch's global one.

    Returns:
        Tuple (idx_keep, idx_mask) of int64 indices, ascending, on the device of
        `videos`, with shapes (B, num_prefix_tokens + n_keep) and (B, n_mask), n_keep
        being int(N * (1 - mask_ratio)).

    Raises:
        ValueError: If an argument is out of shape, dtype or range.
    """
    grey = _grey_cells(videos, patch_size, tubelet_size)
    batch, tubelets, height, width = grey.shape
    patches = (height // _STEPS) * (width // _STEPS)
    num_keep = num_visible(tubelets * patches, mask_ratio)
    count = num_visible_at_least(patches, mask_ratio)

    every = torch.ones(batch, patches, dtype=torch.bool, device=grey.device)
    base = select_tokens(every, count, generator)
    shares = _carry(base, grey)
    # Less than any difference of shares: it only orders what is equal.
    noise = draw_uniform(tuple(shares.shape), grey.device, generator) * 0.5 / _STEPS**2
    best = (shares + noise).topk(count, dim=-1).indices
    candidates = torch.zeros_like(shares, dtype=torch.bool).scatter_(-1, best, True)
    visible = select_tokens(candidates.flatten(1), num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


def _grey_cells(videos: Tensor, patch_size: int, tubelet_size: int) -> Tensor:
    """Returns float32 grey (B, t, 4h, 4w) in [0, 1]: means over quarter patches."""
    if videos.ndim != 5 or videos.numel() == 0:
        raise ValueError(
            f"Invalid shape of videos {tuple(videos.shape)}. Supported is "
            "(B, C, T, H, W), not empty."
        )
    if videos.dtype != torch.uint8 and not videos.is_floating_point():
        raise ValueError(
            f"Invalid dtype of videos {videos.dtype}. Supported are uint8 and "
            "floating point."
        )
    if patch_size <= 0 or patch_size % _STEPS:
        raise ValueError(
            f"Invalid patch_size {patch_size}: must be a positive multiple of {_STEPS}."
        )
    frames, height, width = videos.shape[2:]
    if tubelet_size <= 0 or frames % tubelet_size:
        raise ValueError(
            f"Invalid tubelet_size {tubelet_size}: must divide the number of frames "
            f"{frames}."
        )
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"Invalid patch_size {patch_size}: must divide height {height} and width "
            f"{width}."
        )
    grey = videos[:, :, ::tubelet_size].float().mean(dim=1)
    if videos.dtype == torch.uint8:
        grey = grey / 255
    return F.avg_pool2d(grey, patch_size // _STEPS)


def _shifts(device: torch.device) -> Tensor:
    """Returns int64 (S, 2) shifts in rows and columns, the shortest first."""
    reach = range(-_STEPS, _STEPS + 1)
    pairs = sorted(
        ((y, x) for y in reach for x in reach), key=lambda s: s[0] ** 2 + s[1] ** 2
    )
    return torch.tensor(pairs, device=device)


def _match(target: Tensor, source: Tensor) -> Tensor:
    """Finds where in `source` each patch of `target` comes from.

    Args:
        target: Grey cells with shape (B, H, W).
        source: Grey cells of a neighbouring tubelet, (B, H, W).

    Returns:
        int64 shifts (B, h, w, 2): the patch at p is best matched at p + shift.
    """
    shifts = _shifts(target.device)
    height, width = target.shape[-2:]
    padded = F.pad(source.unsqueeze(1), (_STEPS,) * 4, mode="replicate").squeeze(1)
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)
    moved = windows[:, shifts[:, 0] + _STEPS, shifts[:, 1] + _STEPS]
    costs = F.avg_pool2d((target.unsqueeze(1) - moved).abs(), _STEPS)
    costs = costs + _STILLNESS * shifts.float().norm(dim=1).view(1, -1, 1, 1)
    return shifts[costs.argmin(dim=1)]


def _carry(base: Tensor, grey: Tensor) -> Tensor:
    """Carries the mask of the middle tubelet to all others.

    Args:
        base: Boolean tensor with shape (B, n), True where visible.
        grey: Grey cells with shape (B, t, 4h, 4w).

    Returns:
        float32 tensor (B, t, n) in [0, 1]: the share of each token's area whose content
        is visible in the base.
    """
    batch, tubelets, height, width = grey.shape
    rows = torch.arange(height, device=grey.device).view(1, -1, 1)
    columns = torch.arange(width, device=grey.device).view(1, 1, -1)
    start = base.view(batch, 1, height // _STEPS, width // _STEPS).float()
    start = F.interpolate(start, scale_factor=_STEPS, mode="nearest").squeeze(1)
    middle = tubelets // 2
    maps = {middle: start}
    for index in [*range(middle + 1, tubelets), *range(middle - 1, -1, -1)]:
        nearer = index - 1 if index > middle else index + 1
        shift = _match(grey[:, index], grey[:, nearer])
        shift = shift.repeat_interleave(_STEPS, 1).repeat_interleave(_STEPS, 2)
        row = (rows + shift[..., 0]).clamp(0, height - 1)
        column = (columns + shift[..., 1]).clamp(0, width - 1)
        place = (row * width + column).flatten(1)
        carried = maps[nearer].flatten(1).gather(1, place)
        maps[index] = carried.view(batch, height, width)
    stacked = torch.stack([maps[index] for index in range(tubelets)], dim=1)
    return F.avg_pool2d(stacked, _STEPS).flatten(2)
