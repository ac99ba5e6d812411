"""A masking strategy by its name, seeded by the step."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms import (
    fasking_token_mask,
    frame_token_mask,
    random_tubelet_mask,
    tube_token_mask,
)
from lightly_marlin.transforms.fasking import FaskingMode, FaskingOrder
from lightly_marlin.transforms.token_selection import num_visible

__all__ = ["MASKS", "BatchMasking"]

_GRID_MASKS = {
    "tube": tube_token_mask,
    "frame": frame_token_mask,
    "random": random_tubelet_mask,
}

MASKS = ("fasking", *_GRID_MASKS)


class BatchMasking:
    """Draws the masks of a batch, the same ones whenever the same step is run again.

    Args:
        name: One of `MASKS`.
        mask_ratio: Share of tokens to mask, in (0, 1).
        grid: Token grid (t, h, w).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet.
        mode: Of Fasking: "tubelet" or "tube".
        order: Of Fasking: "components_masked_first" or "components_visible_first".
        seed: Seed of all masks.

    Raises:
        ValueError: If the name is unknown or the ratio leaves no token visible.
    """

    def __init__(
        self,
        name: str,
        mask_ratio: float,
        *,
        grid: tuple[int, int, int],
        patch_size: int,
        tubelet_size: int,
        mode: FaskingMode = "tubelet",
        order: FaskingOrder = "components_masked_first",
        seed: int = 0,
    ) -> None:
        if name not in MASKS:
            raise ValueError(
                f"Invalid mask ({name!r}). Supported values are {', '.join(MASKS)}."
            )
        num_visible(math.prod(grid), mask_ratio)
        self.name = name
        self.mask_ratio = mask_ratio
        self.grid = grid
        self.patch_size = patch_size
        self.tubelet_size = tubelet_size
        self.mode: FaskingMode = mode
        self.order: FaskingOrder = order
        self.seed = seed

    def __call__(
        self, cells: Tensor, step: int, rank: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Draws masks.

        Args:
            cells:
                int32 bit masks of region cells with shape (B, T, H / 8, W / 8). Masks
                other than Fasking only use their batch size and device.
            step: Number of the step.
            rank: Number of the process among those that train together.

        Returns:
            Tuple (idx_keep, idx_mask) of int64 indices on the device of `cells`.
        """
        entropy = np.random.SeedSequence([self.seed, step, rank])
        generator = torch.Generator()
        generator.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))
        if self.name == "fasking":
            return fasking_token_mask(
                RegionCells(cells),
                self.mask_ratio,
                patch_size=self.patch_size,
                tubelet_size=self.tubelet_size,
                mode=self.mode,
                order=self.order,
                generator=generator,
            )
        return _GRID_MASKS[self.name](
            (len(cells), self.grid),
            self.mask_ratio,
            generator=generator,
            device=cells.device,
        )
