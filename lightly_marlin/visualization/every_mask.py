"""Masks of all strategies on one clip, for the gallery."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lightly_marlin.transforms import BatchMasking, mask_names
from lightly_marlin.transforms.token_grid import tile
from lightly_marlin.visualization.mask_gallery import ShownMask

__all__ = ["draw_every_mask"]


def draw_every_mask(
    video: Tensor,
    cells: Tensor,
    mask_ratio: float = 0.9,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    seed: int = 0,
) -> dict[str, ShownMask]:
    """Draws a mask of every registered strategy and of their variants.

    Args:
        video: Clip (3, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        cells: int32 bit masks of region cells (T, H / 8, W / 8).
        mask_ratio: Share of tokens to mask, in (0, 1).
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        seed: Seed of the masks.

    Returns:
        The masks by name; a variant's name is like "fasking, strict tube".

    Raises:
        ValueError: If the ratio leaves no token or tubelets do not tile the clip.
    """
    grid = tile(*video.shape[1:], patch_size=patch_size, tubelet_size=tubelet_size)

    def draw(
        name: str, decode_ratio: float = 1.0, **options: Any
    ) -> tuple[BatchMasking, Tensor]:
        masking = BatchMasking(
            name,
            mask_ratio,
            grid=grid,
            patch_size=patch_size,
            tubelet_size=tubelet_size,
            decode_ratio=decode_ratio,
            seed=seed,
            **options,
        )
        return masking, masking(cells[None], 0, videos=video[None])[1]

    masks = {}
    for name in mask_names():
        masking, idx_mask = draw(name)
        given = masking.inputs(cells[None], video[None])
        (strategy,) = masking.strategies
        masks[name] = ShownMask(idx_mask[0], strategy.describe(given, idx_mask))
        for variant in strategy.variants:
            _, idx_mask = draw(name, **variant.options)
            idx_decode = None
            if variant.decode_ratio < 1:
                _, decoded = draw(name, variant.decode_ratio, **variant.options)
                idx_decode = decoded[0]
            shown = ShownMask(idx_mask[0], variant.caption, idx_decode)
            masks[f"{name}, {variant.name}"] = shown
    return masks
