"""CRFR-P: one random facial region is covered, the rest masked in proportion.

- [0]: FSFM, 2024, https://arxiv.org/abs/2412.12032 (CRFR-P masking), and its released
  code: `fsfm-3c/util/datasets.py`, https://github.com/wolo-wolo/FSFM-CVPR25

The regions, the choice of regions that may be covered, and the assignment of tokens
with several regions follow [0], which masks single images. The differences, and their
reasons:

- A clip is masked: the covered region is drawn once per clip, covered wherever it is in
  each tubelet, and the proportions hold in every tubelet by itself.
- The region is drawn for every clip among those that occur in it. The released code
  draws one for the whole batch, and covers nothing in images that lack it.
- Each region keeps its share, randomly rounded up or down to whole tokens, so that the
  share holds on average and MARLIN's counts are met directly. The released code rounds
  to the nearest, then masks or reveals random tokens until the count is right: at a
  ratio of 0.9, a region of up to four tokens would lose them all in the first step.
- A clip without a parsed face is masked at random. [0] has no such images.
- The separate loss on the covered region is not implemented.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.regions import Label, RegionCells
from lightly_marlin.transforms.clip_draws import Randomness
from lightly_marlin.transforms.mask_indices import indices_to_mask
from lightly_marlin.transforms.mask_strategy import MaskInputs, MaskStrategy
from lightly_marlin.transforms.registry import register_mask
from lightly_marlin.transforms.token_selection import (
    draw_uniform,
    num_visible,
    split_tokens,
)
from lightly_marlin.transforms.tubelet_regions import tubelet_bits

__all__ = ["COVERED_REGIONS", "Crfrp", "Region", "covered_regions", "crfrp_token_mask"]

Region = tuple[tuple[Label, ...], ...]
"""Groups of labels: a token is in the region if it has a label of every group."""

COVERED_REGIONS: dict[str, Region] = {
    "eyebrows": ((Label.LEFT_EYEBROW, Label.RIGHT_EYEBROW),),
    "eyes": ((Label.LEFT_EYE, Label.RIGHT_EYE),),
    "nose": ((Label.NOSE,),),
    "mouth": ((Label.UPPER_LIP, Label.INNER_MOUTH, Label.LOWER_LIP),),
    "face boundary": ((Label.SKIN,), (Label.HAIR, Label.BACKGROUND)),
    "hair": ((Label.HAIR,),),
}
"""The regions that may be covered: all but skin and background [0]."""

# For the proportions, a token counts towards only the first of these that it is in.
_REGIONS: tuple[Region, ...] = (
    *COVERED_REGIONS.values(),
    ((Label.SKIN,),),
    ((Label.BACKGROUND,),),
)


def crfrp_token_mask(
    regions: Tensor | RegionCells,
    mask_ratio: float = 0.9,
    *,
    patch_size: int = 16,
    tubelet_size: int = 2,
    num_prefix_tokens: int = 0,
    generator: Randomness | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks that cover one facial region and a share of every other [0].

    One of the regions of `COVERED_REGIONS` that occur in the clip is drawn uniformly,
    and all tokens with a pixel of it are masked (for the face boundary: all with skin
    beside hair or background). All other tokens are masked in proportion: within every
    tubelet, each region loses the same share, rounded up or down to whole tokens, and
    int(N * (1 - mask_ratio)) tokens stay visible in the clip. The first frame of a
    tubelet decides.

    If no region occurs (no face was parsed), nothing is covered. If the covered region
    alone exceeds mask_ratio, random tokens of it stay visible.

    Works for images as well: one frame and `tubelet_size=1`.

    Args:
        regions:
            Integer tensor with shape (B, T, H, W) of LaPa labels in [0, 10], -1 in a
            frame without a face; or `RegionCells` with bits of shape
            (B, T, H / 8, W / 8).
        mask_ratio: Share of tokens to mask, in (0, 1).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet; divides T.
        num_prefix_tokens: Class tokens of the model; kept, first in idx_keep, and
            shifting all other indices.
        generator: Source of randomness, of any device, or `ClipDraws`; None for
            torch's global one.

    Returns:
        Tuple (idx_keep, idx_mask) of int64 indices, ascending, on the device of
        `regions`, with shapes (B, num_prefix_tokens + n_keep) and (B, n_mask).

    Raises:
        ValueError: If an argument has an unsupported shape or range.
    """
    bits = tubelet_bits(regions, patch_size, tubelet_size)
    _, num_tubelets, tokens_per_tubelet = bits.shape
    num_keep = num_visible(num_tubelets * tokens_per_tubelet, mask_ratio)

    occurs = torch.stack(
        [_tokens_in_region(bits, region) for region in COVERED_REGIONS.values()], dim=-1
    ).flatten(1, 2)
    drawn = _draw_region(occurs.any(dim=1), generator)
    covered = occurs.gather(2, drawn[:, None, None].expand(-1, occurs.shape[1], 1))

    tubelet = torch.arange(num_tubelets, device=bits.device).view(1, -1, 1)
    stratum = tubelet * (len(_REGIONS) + 1) + _region_of_tokens(bits)
    visible = _keep_in_proportion(
        stratum.flatten(1), covered.squeeze(2), num_keep, generator
    )
    return split_tokens(visible, num_keep, num_prefix_tokens)


@register_mask
class Crfrp(MaskStrategy):
    """One random facial region covered, the rest masked in proportion (FSFM).

    See `crfrp_token_mask`. A sample needs "regions", as `MaskStrategy` takes them.
    """

    name = "crfrp"
    caption = "all of one region, the rest in proportion"
    needs = ("regions",)
    position = 4

    def draw(self, given: MaskInputs) -> tuple[Tensor, Tensor]:
        """Draws the masks of a batch with `crfrp_token_mask`."""
        return crfrp_token_mask(
            self._regions(given),
            self.mask_ratio,
            generator=given.source,
            **self._sizes(),
        )

    def describe(self, given: MaskInputs, idx_mask: Tensor) -> str:
        """Returns the caption with the regions that are fully hidden."""
        bits = tubelet_bits(self._regions(given), self.patch_size, self.tubelet_size)
        covered = covered_regions(bits.flatten(), idx_mask[0] - self.num_prefix_tokens)
        return f"{self.caption}; hidden whole here: {', '.join(covered) or 'none'}"


def covered_regions(bits: Tensor, idx_mask: Tensor) -> list[str]:
    """Returns the names of the regions with all tokens masked.

    Args:
        bits: int32 label bits (N,) of a clip's tokens, as `tubelet_bits` gives them.
        idx_mask: int64 indices of the masked tokens, (n_mask,).
    """
    masked = indices_to_mask(idx_mask[None], len(bits))[0]
    tokens = {
        name: _tokens_in_region(bits, region)
        for name, region in COVERED_REGIONS.items()
    }
    return [name for name, here in tokens.items() if here.any() and masked[here].all()]


def _tokens_in_region(bits: Tensor, region: Region) -> Tensor:
    """Returns a mask of the tokens in a region.

    Args:
        bits: int32 label bits of any shape, as `tubelet_bits` gives them.
        region: For example one of `COVERED_REGIONS`.

    Returns:
        Boolean tensor of the shape of `bits`.
    """
    inside = torch.ones_like(bits, dtype=torch.bool)
    for labels in region:
        wanted = sum(1 << label for label in labels)
        inside = inside & bits.bitwise_and(wanted).ne(0)
    return inside


def _region_of_tokens(bits: Tensor) -> Tensor:
    """Returns int64 region numbers, those of tokens without a label last."""
    region = torch.full_like(bits, len(_REGIONS), dtype=torch.int64)
    for number, candidate in reversed(list(enumerate(_REGIONS))):
        region = torch.where(_tokens_in_region(bits, candidate), number, region)
    return region


def _draw_region(present: Tensor, generator: Randomness | None) -> Tensor:
    """Draws one of the present regions of each clip.

    Args:
        present: Boolean tensor with shape (B, R).
        generator: Source of randomness.

    Returns:
        int64 tensor (B,); arbitrary for clips without a region.
    """
    scores = draw_uniform(tuple(present.shape), present.device, generator)
    return scores.masked_fill(~present, -1.0).argmax(dim=1)


def _keep_in_proportion(
    stratum: Tensor, covered: Tensor, count: int, generator: Randomness | None
) -> Tensor:
    """Keeps the same share of every stratum of the uncovered tokens.

    Systematic sampling: of the S tokens in the order of their strata, every (S /
    count)-th is kept, from a random start. Each stratum thus keeps its share, rounded
    up or down, and together they keep `count`.

    Args:
        stratum: int64 tensor with shape (B, N).
        covered: Boolean tensor with shape (B, N).
        count: Number of tokens to keep in each row; covered ones only if the others do
            not suffice.
        generator: Source of randomness.

    Returns:
        Boolean tensor with shape (B, N) with `count` True in each row.
    """
    batch, total = stratum.shape
    shuffled = draw_uniform((batch, total), stratum.device, generator).argsort(dim=1)
    last = torch.iinfo(stratum.dtype).max
    order = torch.where(covered, last, stratum).gather(1, shuffled)
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
