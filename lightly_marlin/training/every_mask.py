"""The masks of all strategies on one clip, to be looked at."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from lightly_marlin.training.masking import MASKS, BatchMasking

__all__ = ["draw_every_mask"]


def draw_every_mask(
    video: Tensor,
    cells: Tensor,
    mask_ratio: float = 0.9,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Draws a mask of every strategy and of Fasking's variants.

    Args:
        video: Clip (3, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        cells: int32 bit masks of region cells (T, H / 8, W / 8).
        mask_ratio: Share of tokens to mask, in (0, 1).
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        seed: Of the masks.

    Returns:
        int64 indices of masked tokens (n_mask,), by caption; "fasking, decoded half"
        has the half of Fasking's that running cells decode.

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
    strategies = {
        "fasking": masking("fasking"),
        "fasking, strict tube": masking("fasking", mode="tube"),
        "fasking, opposite": masking("fasking", order="components_visible_first"),
        "fasking, decoded half": masking("fasking", decode_ratio=0.5),
        **{name: masking(name) for name in MASKS if name != "fasking"},
    }
    batch = (cells.unsqueeze(0), 0, 0, video.unsqueeze(0))
    return {name: draw(*batch)[1][0] for name, draw in strategies.items()}
