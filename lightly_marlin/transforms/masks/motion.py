"""Motion-guided masks, whose visible tokens follow the content as it moves.

- [0]: MGMAE, 2023, https://arxiv.org/abs/2308.10794, and its released code:
  `engine_for_mgmae.py` and `dataset/masking_generator.py`,
  https://github.com/MCG-NJU/MGMAE

As in [0], a map with a Gaussian on every patch that is drawn visible starts in the
middle of the clip and is warped outwards, from neighbour to neighbour, by the backward
motion; values from outside the frame are those of the base there; and in every tubelet
the tokens with the highest values are visible. A visible token thus follows its
content, and nothing leaks where a tube would stay behind. This is modelled on MGMAE,
but is not MGMAE. The differences:

- No optical flow network ([0] runs RAFT). The motion of each patch is the shift, in
  steps of a quarter patch and up to a whole patch, at which the difference of two
  frames is least (block matching). There is one shift per patch and one map value per
  quarter patch, not one per pixel, and content that moves more than a patch between
  tubelets is not followed.
- A shift must lower the mean difference by one of 255 grey levels per step of its
  length, so that noise does not move static content.
- Only the first frame of each tubelet is used; [0] follows the motion through all
  frames and sums the maps of a tubelet's frames.
- Before the base, the motion is taken from each tubelet to the next, mirroring the side
  after it. The released code takes it in the opposite direction there.
- The counts are MARLIN's: the same number of tokens in every tubelet, rounded up; the
  surplus over the whole clip is dropped at random, as in its tube masks. [0] rounds
  down in every tubelet.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lightly_marlin.transforms.clip_draws import Randomness
from lightly_marlin.transforms.mask_strategy import MaskInputs, MaskStrategy
from lightly_marlin.transforms.registry import register_mask
from lightly_marlin.transforms.token_selection import (
    draw_uniform,
    num_visible,
    num_visible_at_least,
    select_tokens,
    split_tokens,
)

__all__ = ["MotionMask", "motion_token_mask"]

_STEPS = 4
"""Steps of a shift in a patch; also the longest shift in steps, in each direction."""

_STILLNESS = 1 / 255
"""Required decrease of the mean grey difference per step of a shift's length."""


def motion_token_mask(
    videos: Tensor,
    mask_ratio: float = 0.9,
    *,
    patch_size: int = 16,
    tubelet_size: int = 2,
    num_prefix_tokens: int = 0,
    generator: Randomness | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks whose visible tokens follow the motion of a clip [0].

    Without motion, they are tube masks. The first frame of each tubelet decides.

    Args:
        videos:
            Tensor with shape (B, C, T, H, W), uint8 in [0, 255] or floating point in
            [0, 1].
        mask_ratio: Share of tokens to mask, in (0, 1).
        patch_size: Side of a patch in pixels, a multiple of 4 that divides H and W.
        tubelet_size: Frames per tubelet; divides T.
        num_prefix_tokens: Class tokens of the model; kept, first in idx_keep, and
            shifting all other indices.
        generator: Source of randomness, of any device, or `ClipDraws`; None for
            torch's global one.

    Returns:
        Tuple (idx_keep, idx_mask) of int64 indices, ascending, on the device of
        `videos`, with shapes (B, num_prefix_tokens + n_keep) and (B, n_mask), n_keep
        being int(N * (1 - mask_ratio)).

    Raises:
        ValueError: If an argument has an unsupported shape, dtype or range.
    """
    grey = _grey_cells(videos, patch_size, tubelet_size)
    batch, tubelets, height, width = grey.shape
    patches = (height // _STEPS) * (width // _STEPS)
    num_keep = num_visible(tubelets * patches, mask_ratio)
    count = num_visible_at_least(patches, mask_ratio)

    every = torch.ones(batch, patches, dtype=torch.bool, device=grey.device)
    base = select_tokens(every, count, generator)
    values = _carry(_base_map(base, height, width), grey)
    # It breaks ties, equally in all tubelets, and is smaller than the difference
    # between a token of the base and its neighbours.
    noise = draw_uniform((batch, 1, patches), grey.device, generator) * 1e-4
    best = (values + noise).topk(count, dim=-1).indices
    candidates = torch.zeros_like(values, dtype=torch.bool).scatter_(-1, best, True)
    visible = select_tokens(candidates.flatten(1), num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


@register_mask
class MotionMask(MaskStrategy):
    """Visible tokens that follow the motion of the clip (modelled on MGMAE).

    See `motion_token_mask`. A sample needs "video" (C, T, H, W), uint8 or floating
    point.
    """

    name = "motion"
    caption = "drawn in the middle of the clip; visible places follow what moves"
    needs = ("video",)
    position = 5

    def draw(self, given: MaskInputs) -> tuple[Tensor, Tensor]:
        """Draws the masks of a batch with `motion_token_mask`."""
        return motion_token_mask(
            self._videos(given),
            self.mask_ratio,
            generator=given.source,
            **self._sizes(),
        )


def _grey_cells(videos: Tensor, patch_size: int, tubelet_size: int) -> Tensor:
    """Returns float32 grey (B, t, 4h, 4w) in [0, 1]: means over quarter patches."""
    if videos.ndim != 5 or 0 in videos.shape[1:]:
        raise ValueError(
            f"Invalid shape of videos {tuple(videos.shape)}. Supported is "
            "(B, C, T, H, W), clips not empty."
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
    """Finds the origin in `source` of each patch of `target`.

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


def _base_map(base: Tensor, height: int, width: int) -> Tensor:
    """Returns the nearness of each cell to visible patches: the highest Gaussian.

    Args:
        base: Boolean tensor with shape (B, n), True where visible.
        height: Number of cells in a column.
        width: Number of cells in a row.

    Returns:
        float32 tensor (B, height, width) in [0, 1]: exp(-d * d), d being the distance,
        in patches, to the middle of the nearest visible patch.
    """
    patches = base.view(len(base), height // _STEPS, width // _STEPS)
    down, across = (_fall_off(side, base.device) for side in patches.shape[1:])
    in_row = (patches.unsqueeze(-1) * across).amax(dim=2)
    return (in_row.unsqueeze(2) * down.unsqueeze(-1)).amax(dim=1)


def _fall_off(patches: int, device: torch.device) -> Tensor:
    """Returns float32 (n, 4n): a Gaussian around each of n patches along one side."""
    cell = (torch.arange(patches * _STEPS, device=device) + 0.5) / _STEPS
    middle = torch.arange(patches, device=device) + 0.5
    return torch.exp(-(cell - middle[:, None]).square())


def _carry(start: Tensor, grey: Tensor) -> Tensor:
    """Warps the map of the middle tubelet to all others.

    Args:
        start: float32 tensor with shape (B, 4h, 4w) in [0, 1].
        grey: Grey cells with shape (B, t, 4h, 4w).

    Returns:
        float32 tensor (B, t, h * w) in [0, 1]: the mean of the map over each token.
    """
    batch, tubelets, height, width = grey.shape
    rows = torch.arange(height, device=grey.device).view(1, -1, 1)
    columns = torch.arange(width, device=grey.device).view(1, 1, -1)
    middle = tubelets // 2
    maps = {middle: start}
    for index in [*range(middle + 1, tubelets), *range(middle - 1, -1, -1)]:
        nearer = index - 1 if index > middle else index + 1
        shift = _match(grey[:, index], grey[:, nearer])
        shift = shift.repeat_interleave(_STEPS, 1).repeat_interleave(_STEPS, 2)
        row, column = rows + shift[..., 0], columns + shift[..., 1]
        inside_row, inside_column = row.clamp(0, height - 1), column.clamp(0, width - 1)
        inside = row.eq(inside_row) & column.eq(inside_column)
        place = (inside_row * width + inside_column).flatten(1)
        carried = maps[nearer].flatten(1).gather(1, place).view(batch, height, width)
        maps[index] = torch.where(inside, carried, start)
    stacked = torch.stack([maps[index] for index in range(tubelets)], dim=1)
    return F.avg_pool2d(stacked, _STEPS).flatten(2)
