"""Fasking: masking guided by facial regions.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627 (section 3.2)

The paper describes a mask that is the same in all tubelets of a clip; the released code
decides separately for every tubelet. Both are supported: `mode="tubelet"` is the
released behaviour, `mode="tube"` the strict tube.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from lightly_marlin.regions import (
    COMPONENT_GROUPS,
    NUM_LABELS,
    Label,
    RegionCells,
)
from lightly_marlin.transforms.clip_draws import Randomness
from lightly_marlin.transforms.mask_strategy import (
    MaskInputs,
    MaskStrategy,
    MaskVariant,
    check_option,
)
from lightly_marlin.transforms.registry import register_mask
from lightly_marlin.transforms.token_selection import (
    draw_uniform,
    num_visible,
    num_visible_at_least,
    select_tokens,
    split_tokens,
)
from lightly_marlin.transforms.tubelet_regions import tubelet_bits

__all__ = ["Fasking", "FaskingMode", "FaskingOrder", "fasking_token_mask"]

FaskingMode = Literal["tubelet", "tube"]
FaskingOrder = Literal["components_masked_first", "components_visible_first"]

_GROUP_STRIDE = max(len(group) for group in COMPONENT_GROUPS)
_NUM_COMPONENT_RANKS = len(COMPONENT_GROUPS) * _GROUP_STRIDE
_NUM_RANKS = _NUM_COMPONENT_RANKS + 2


def fasking_token_mask(
    regions: Tensor | RegionCells,
    mask_ratio: float = 0.9,
    *,
    patch_size: int = 16,
    tubelet_size: int = 2,
    mode: FaskingMode = "tubelet",
    order: FaskingOrder = "components_masked_first",
    num_prefix_tokens: int = 0,
    generator: Randomness | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks that hide eyes, nose, mouth and hair first [0].

    The visible tokens of a tubelet are filled label by label: background, skin, then
    the five component groups in an order drawn once per clip, until at least 1 -
    mask_ratio of its tokens are visible. The first frame of the tubelet decides. A
    token has a label when any of its pixels has it. Visible tokens are then dropped at
    random over the whole clip until exactly int(N * (1 - mask_ratio)) are left. If no
    face was parsed, all tokens of the tubelet are candidates.

    Works for images as well: one frame and `tubelet_size=1`.

    Args:
        regions:
            Integer tensor with shape (B, T, H, W) of LaPa labels in [0, 10], -1 in a
            frame without a face; or `RegionCells` with bits of shape
            (B, T, H / 8, W / 8).
        mask_ratio: Share of tokens to mask, in (0, 1).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet; divides T.
        mode:
            "tubelet" decides for every tubelet separately, as in the released code.
            "tube" decides once per clip, for all tubelets, by the first tubelet with a
            parsed face. (If the number to keep is not a multiple of the number of
            tubelets, the surplus tokens are dropped at random, as in the released tube
            masking.)
        order:
            "components_masked_first" as described, or "components_visible_first", the
            opposite: components, skin, background ("fasking_opp" of [0]).
        num_prefix_tokens:
            Number of class tokens of the model. They are kept, come first in idx_keep,
            and shift all other indices.
        generator:
            Source of randomness, of any device, or `ClipDraws`; None for
            torch's global one.

    Returns:
        Tuple (idx_keep, idx_mask) of int64 indices, ascending, on the device of
        `regions`, with shapes (B, num_prefix_tokens + n_keep) and (B, n_mask).

    Raises:
        ValueError: If an argument has an unsupported shape, range or value.
    """
    check_option("mode", mode, get_args(FaskingMode))
    check_option("order", order, get_args(FaskingOrder))
    bits = tubelet_bits(regions, patch_size, tubelet_size)
    batch, num_tubelets, tokens_per_tubelet = bits.shape
    num_keep = num_visible(num_tubelets * tokens_per_tubelet, mask_ratio)

    if mode == "tube":
        bits = _first_parsed_tubelet(bits)
    ranks = _draw_label_ranks(batch, order, bits.device, generator)
    candidates = _fill(bits, ranks, mask_ratio)
    if mode == "tube":
        count = num_visible_at_least(tokens_per_tubelet, mask_ratio)
        tube = select_tokens(candidates, count, generator)
        candidates = tube.expand(-1, num_tubelets, -1)
    visible = select_tokens(candidates.flatten(1), num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


@register_mask
@dataclass(eq=False, kw_only=True)
class Fasking(MaskStrategy):
    """Masking guided by facial regions (MARLIN).

    See `fasking_token_mask`. A sample needs "regions", as `MaskStrategy` takes them.

    Attributes:
        mode: "tubelet" or "tube".
        order: "components_masked_first" or "components_visible_first".
    """

    name = "fasking"
    caption = "background stays visible, then skin; eyes, nose, mouth and hair last"
    needs = ("regions",)
    position = 0
    variants = (
        MaskVariant("strict tube", "decided once for the whole clip", {"mode": "tube"}),
        MaskVariant(
            "opposite",
            "what stays visible is of eyes, nose, mouth and hair",
            {"order": "components_visible_first"},
        ),
        MaskVariant(
            "half decoded",
            "the first mask again; running cells choose what of it is predicted",
            decode_ratio=0.5,
        ),
    )

    mode: FaskingMode = "tubelet"
    order: FaskingOrder = "components_masked_first"

    def draw(self, given: MaskInputs) -> tuple[Tensor, Tensor]:
        """Draws the masks of a batch with `fasking_token_mask`."""
        return fasking_token_mask(
            self._regions(given),
            self.mask_ratio,
            mode=self.mode,
            order=self.order,
            generator=given.source,
            **self._sizes(),
        )


def _first_parsed_tubelet(bits: Tensor) -> Tensor:
    """Returns the bits (B, 1, n) of the first tubelet with a face, or the first."""
    has_face = bits.ne(0).any(dim=-1)
    first = has_face.to(torch.uint8).argmax(dim=1)
    return bits.gather(1, first[:, None, None].expand(-1, 1, bits.shape[2]))


def _draw_label_ranks(
    batch: int,
    order: FaskingOrder,
    device: torch.device,
    generator: Randomness | None,
) -> Tensor:
    """Returns int64 (B, 11): the position of each label in its clip's filling order."""
    draws = draw_uniform((batch, len(COMPONENT_GROUPS)), device, generator)
    group_position = draws.argsort(dim=1).argsort(dim=1) * _GROUP_STRIDE
    components_first = order == "components_visible_first"
    offset = 0 if components_first else 2
    ranks = torch.zeros(batch, NUM_LABELS, dtype=torch.int64, device=device)
    for index, group in enumerate(COMPONENT_GROUPS):
        for place, label in enumerate(group):
            ranks[:, label] = group_position[:, index] + (offset + place)
    ranks[:, Label.SKIN] = _NUM_COMPONENT_RANKS if components_first else 1
    ranks[:, Label.BACKGROUND] = _NUM_COMPONENT_RANKS + 1 if components_first else 0
    return ranks


def _fill(bits: Tensor, ranks: Tensor, mask_ratio: float) -> Tensor:
    """Fills the visible set of every tubelet, label by label.

    Args:
        bits: int32 label bits with shape (B, t, n).
        ranks: int64 filling order with shape (B, 11).
        mask_ratio: Share of tokens to mask.

    Returns:
        Boolean tensor with shape (B, t, n): True for visible candidates.
    """
    labels = torch.arange(NUM_LABELS, device=bits.device, dtype=bits.dtype)
    occurs = (bits.unsqueeze(-1) >> labels).bitwise_and(1).bool()
    # A token becomes visible with its earliest label, and never without any label.
    token_rank = torch.where(occurs, ranks[:, None, None], _NUM_RANKS).amin(dim=-1)

    steps = torch.arange(_NUM_RANKS, device=bits.device)
    filled = token_rank.unsqueeze(-1) <= steps
    # The slack lets 10 of 100 tokens be 10 % although 1 - 0.9 is a little less.
    enough = (1 - mask_ratio) * bits.shape[-1] - 1e-6
    too_few = filled.sum(dim=2).lt(enough).sum(dim=-1, keepdim=True)
    no_face = bits.eq(0).all(dim=-1, keepdim=True)
    return (token_rank <= too_few) | no_face
