"""CRFR-P: one random facial region is covered, the rest masked in proportion.

- [0]: FSFM, 2024, https://arxiv.org/abs/2412.12032 (CRFR-P masking)

The paper masks single images, each patch being of one region. Here a clip is masked:
the covered region is drawn once per clip and covered wherever it is in each tubelet; a
token in which several labels occur counts as covered if the covered region is one of
them; the proportions hold in every tubelet by itself; and the counts are MARLIN's. The
paper's separate loss on the covered region is not here.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from lightly_marlin.regions import Label, RegionCells
from lightly_marlin.transforms.token_selection import (
    draw_uniform,
    num_visible,
    split_tokens,
)
from lightly_marlin.transforms.tubelet_regions import tubelet_bits

__all__ = ["COVERED_REGIONS", "crfrp_token_mask"]

COVERED_REGIONS: tuple[tuple[Label, ...], ...] = (
    (Label.LEFT_EYEBROW, Label.RIGHT_EYEBROW),
    (Label.LEFT_EYE, Label.RIGHT_EYE),
    (Label.NOSE,),
    (Label.UPPER_LIP, Label.INNER_MOUTH, Label.LOWER_LIP),
    (Label.HAIR,),
)
"""The regions that may be covered: all but skin and background [0]."""

# For the proportions a token is of one region only: the first of these that it holds.
_REGIONS = (*COVERED_REGIONS, (Label.SKIN,), (Label.BACKGROUND,))


def crfrp_token_mask(
    regions: Tensor | RegionCells,
    mask_ratio: float = 0.9,
    *,
    patch_size: int = 16,
    tubelet_size: int = 2,
    num_prefix_tokens: int = 0,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks that cover one facial region and a share of every other [0].

    One of the regions of `COVERED_REGIONS` that occur in the clip is drawn, each alike,
    and all tokens with a pixel of it are masked. All other tokens are masked in
    proportion: within every tubelet, each region loses the same share, to the nearest
    token above or below, so that int(N * (1 - mask_ratio)) tokens stay visible in the
    clip. The first frame of a tubelet decides.

    Where no region occurs (no face was parsed), nothing is covered. Where the covered
    region alone is more than mask_ratio allows, random tokens of it stay visible.

    Works for images as well: one frame and `tubelet_size=1`.

    Args:
        regions:
            Integer tensor with shape (B, T, H, W) of LaPa labels in [0, 10], -1 in a
            frame without a face; or `RegionCells` with bits of shape
            (B, T, H / 8, W / 8).
        mask_ratio: Share of tokens to mask, in (0, 1).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet; divides T.
        num_prefix_tokens: Class tokens of the model: kept, first, shift the others.
        generator: Source of randomness, of any device; None for torch's global one.

    Returns:
        Tuple (idx_keep, idx_mask) of int64 indices, ascending, on the device of
        `regions`, with shapes (B, num_prefix_tokens + n_keep) and (B, n_mask).

    Raises:
        ValueError: If an argument is out of shape or range.
    """
    bits = tubelet_bits(regions, patch_size, tubelet_size)
    _, num_tubelets, tokens_per_tubelet = bits.shape
    num_keep = num_visible(num_tubelets * tokens_per_tubelet, mask_ratio)

    occurs = torch.stack([_holds(bits, labels) for labels in COVERED_REGIONS], dim=-1)
    occurs = occurs.flatten(1, 2)
    drawn = _draw_region(occurs.any(dim=1), generator)
    covered = occurs.gather(2, drawn[:, None, None].expand(-1, occurs.shape[1], 1))

    tubelet = torch.arange(num_tubelets, device=bits.device).view(1, -1, 1)
    stratum = tubelet * (len(_REGIONS) + 1) + _region_of_tokens(bits)
    visible = _keep_in_proportion(
        stratum.flatten(1), covered.squeeze(2), num_keep, generator
    )
    return split_tokens(visible, num_keep, num_prefix_tokens)


def _holds(bits: Tensor, labels: tuple[Label, ...]) -> Tensor:
    """Returns, as booleans, which tokens hold one of `labels`."""
    wanted = sum(1 << label for label in labels)
    return bits.bitwise_and(wanted).ne(0)


def _region_of_tokens(bits: Tensor) -> Tensor:
    """Returns int64 region numbers, those of tokens without a label last."""
    region = torch.full_like(bits, len(_REGIONS), dtype=torch.int64)
    for number, labels in reversed(list(enumerate(_REGIONS))):
        region = torch.where(_holds(bits, labels), number, region)
    return region


def _draw_region(present: Tensor, generator: Generator | None) -> Tensor:
    """Draws one of the present regions of each clip.

    Args:
        present: Boolean tensor with shape (B, R).
        generator: Source of randomness.

    Returns:
        int64 tensor (B,); where no region is present, any.
    """
    scores = draw_uniform(tuple(present.shape), present.device, generator)
    return scores.masked_fill(~present, -1.0).argmax(dim=1)


def _keep_in_proportion(
    stratum: Tensor, covered: Tensor, count: int, generator: Generator | None
) -> Tensor:
    """Keeps the same share of every stratum of the tokens that are not covered.

    Systematic sampling: of the S tokens in the order of their strata, every
    (S / count)-th is kept, from a random start. Each stratum so keeps its share to the
    nearest token above or below, and all together keep `count`.

    Args:
        stratum: int64 tensor with shape (B, N).
        covered: Boolean tensor with shape (B, N).
        count: Number of tokens to keep in each row; covered ones only where the others
            do not suffice.
        generator: Source of randomness.

    Returns:
        Boolean tensor with shape (B, N) with `count` True in each row.
    """
    batch, total = stratum.shape
    shuffled = draw_uniform((batch, total), stratum.device, generator).argsort(dim=1)
    order = torch.where(covered, stratum.amax() + 1, stratum).gather(1, shuffled)
    order = shuffled.gather(1, order.argsort(dim=1, stable=True))

    place = torch.arange(total, device=stratum.device)
    free = covered.logical_not().sum(dim=1, keepdim=True)
    start = draw_uniform((batch, 1), stratum.device, generator)
    start = (start * free).long()
    divisor = free.clamp(min=1)
    steps = ((place + 1) * count + start) // divisor - (
        place * count + start
    ) // divisor
    kept = torch.where(place < free, steps > 0, place < count)
    return torch.zeros_like(covered).scatter_(1, order, kept)
