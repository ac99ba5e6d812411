"""The masks of all strategies on one clip, to be looked at."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from lightly_marlin.regions import RegionCells
from lightly_marlin.training.masking import BatchMasking
from lightly_marlin.transforms import indices_to_mask
from lightly_marlin.transforms.crfrp import COVERED_REGIONS, tokens_in_region
from lightly_marlin.transforms.tubelet_regions import tubelet_bits
from lightly_marlin.visualization.mask_gallery import ShownMask

__all__ = ["covered_regions", "draw_every_mask"]


def draw_every_mask(
    video: Tensor,
    cells: Tensor,
    mask_ratio: float = 0.9,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    seed: int = 0,
) -> dict[str, ShownMask]:
    """Draws a mask of every strategy and of Fasking's variants.

    Args:
        video: Clip (3, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        cells: int32 bit masks of region cells (T, H / 8, W / 8).
        mask_ratio: Share of tokens to mask, in (0, 1).
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        seed: Of the masks.

    Returns:
        The masks by their names.

    Raises:
        ValueError: If the ratio leaves no token.
    """
    _, frames, height, width = video.shape
    masking = partial(
        BatchMasking,
        mask_ratio=mask_ratio,
        grid=(frames // tubelet_size, height // patch_size, width // patch_size),
        patch_size=patch_size,
        tubelet_size=tubelet_size,
        seed=seed,
    )

    def draw(strategy: BatchMasking) -> Tensor:
        batch = (cells.unsqueeze(0), 0, 0, video.unsqueeze(0))
        return strategy(*batch)[1][0]

    fasking = draw(masking("fasking"))
    crfrp = draw(masking("crfrp"))
    covered = covered_regions(cells, crfrp, patch_size, tubelet_size)
    return {
        "fasking": ShownMask(
            fasking,
            "background stays visible, then skin; eyes, nose, mouth and hair last",
        ),
        "fasking, strict tube": ShownMask(
            draw(masking("fasking", mode="tube")), "decided once for the whole clip"
        ),
        "fasking, opposite": ShownMask(
            draw(masking("fasking", order="components_visible_first")),
            "what stays visible is of eyes, nose, mouth and hair",
        ),
        "fasking, half decoded": ShownMask(
            fasking,
            "the first mask again; running cells choose what of it is predicted",
            draw(masking("fasking", decode_ratio=0.5)),
        ),
        "tube": ShownMask(draw(masking("tube")), "the same places in all tubelets"),
        "frame": ShownMask(
            draw(masking("frame")),
            "whole tubelets, and a few tokens more, to hide as many as the others",
        ),
        "random": ShownMask(draw(masking("random")), "any token"),
        "crfrp": ShownMask(
            crfrp,
            "all of one region, the rest in proportion; hidden whole here: "
            f"{', '.join(covered) or 'none'}",
        ),
        "motion": ShownMask(
            draw(masking("motion")),
            "drawn in the middle of the clip; visible places follow what moves",
        ),
    }


def covered_regions(
    cells: Tensor, idx_mask: Tensor, patch_size: int = 16, tubelet_size: int = 2
) -> list[str]:
    """Returns the regions of CRFR-P of which every token is masked.

    Args:
        cells: As in `draw_every_mask`.
        idx_mask: int64 indices of the masked tokens, (n_mask,).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet.
    """
    regions = RegionCells(cells.unsqueeze(0))
    bits = tubelet_bits(regions, patch_size, tubelet_size).flatten()
    masked = indices_to_mask(idx_mask.unsqueeze(0), len(bits))[0]
    tokens = {
        name: tokens_in_region(bits, region) for name, region in COVERED_REGIONS.items()
    }
    return [name for name, here in tokens.items() if here.any() and masked[here].all()]
