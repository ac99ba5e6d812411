"""A masking strategy by its name, seeded by the step."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Generator, Tensor

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms import (
    MixtureSchedule,
    crfrp_token_mask,
    fasking_token_mask,
    frame_token_mask,
    mixture_token_mask,
    motion_token_mask,
    random_tubelet_mask,
    running_cell_decoder_mask,
    tube_token_mask,
)
from lightly_marlin.transforms.fasking import FaskingMode, FaskingOrder
from lightly_marlin.transforms.token_selection import num_visible

__all__ = ["MASKS", "MASK_NAMES", "BatchMasking", "split_mask_name"]

_GRID_MASKS = {
    "tube": tube_token_mask,
    "frame": frame_token_mask,
    "random": random_tubelet_mask,
}

MASKS = ("fasking", *_GRID_MASKS, "crfrp", "motion")

MASK_NAMES = f"{', '.join(MASKS)}, and mixtures of two such as fasking+tube"
"""All names of masks, for people."""


def split_mask_name(name: str) -> tuple[str, ...]:
    """Returns the strategies that a name joins by "+": one, or two of a mixture.

    Args:
        name: For example "fasking" or "fasking+tube".

    Raises:
        ValueError: If a strategy is unknown, or there are more than two.
    """
    names = tuple(name.split("+"))
    if len(names) > 2 or len(set(names)) < len(names) or not set(names) <= set(MASKS):
        raise ValueError(f"Invalid mask ({name!r}). Supported values are {MASK_NAMES}.")
    return names


class BatchMasking:
    """Draws the masks of a batch, the same ones whenever the same step is run again.

    Args:
        name: One of `MASKS`, or two joined by "+" for a mixture.
        mask_ratio: Share of tokens to mask, in (0, 1).
        grid: Token grid (t, h, w).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet.
        mode: Of Fasking: "tubelet" or "tube".
        order: Of Fasking: "components_masked_first" or "components_visible_first".
        schedule: Of a mixture: the shares of the strategies; None for halves.
        decode_ratio:
            Share of the masked tokens that idx_mask holds, in (0, 1], chosen by
            `running_cell_decoder_mask` when below 1.
        seed: Seed of all masks.

    Raises:
        ValueError: If the name is unknown or a ratio leaves no token.
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
        schedule: MixtureSchedule | None = None,
        decode_ratio: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.names = split_mask_name(name)
        if not 0 < decode_ratio <= 1:
            raise ValueError(
                f"Invalid decode_ratio {decode_ratio}. Supported values are in (0, 1]."
            )
        num_visible(math.prod(grid), mask_ratio)
        self.name = name
        self.mask_ratio = mask_ratio
        self.grid = grid
        self.patch_size = patch_size
        self.tubelet_size = tubelet_size
        self.mode: FaskingMode = mode
        self.order: FaskingOrder = order
        self.schedule = schedule or MixtureSchedule((0.5, 0.5))
        self.decode_ratio = decode_ratio
        self.seed = seed

    def __call__(
        self, cells: Tensor, step: int, rank: int = 0, videos: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draws masks.

        Args:
            cells:
                int32 bit masks of region cells with shape (B, T, H / 8, W / 8). Masks
                other than Fasking and CRFR-P only use their batch size and device.
            step: Number of the step.
            rank: Number of the process among those that train together.
            videos: Clips (B, C, T, H, W), which the motion mask alone needs.

        Returns:
            Tuple (idx_keep, idx_mask) of int64 indices on the device of `cells`.

        Raises:
            ValueError: If the motion mask gets no clips.
        """
        entropy = np.random.SeedSequence([self.seed, step, rank])
        generator = torch.Generator()
        generator.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))
        drawn = [self._draw(name, cells, videos, generator) for name in self.names]
        idx_keep, idx_mask = drawn[0]
        if len(drawn) > 1:
            shares = self.schedule(step)
            idx_keep, idx_mask = mixture_token_mask(drawn, shares, generator=generator)
        if self.decode_ratio < 1:
            idx_mask = running_cell_decoder_mask(
                idx_mask, self.grid, self.decode_ratio, generator=generator
            )
        return idx_keep, idx_mask

    def _draw(
        self, name: str, cells: Tensor, videos: Tensor | None, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        sizes = {"patch_size": self.patch_size, "tubelet_size": self.tubelet_size}
        if name == "fasking":
            return fasking_token_mask(
                RegionCells(cells),
                self.mask_ratio,
                mode=self.mode,
                order=self.order,
                generator=generator,
                **sizes,
            )
        if name == "crfrp":
            return crfrp_token_mask(
                RegionCells(cells), self.mask_ratio, generator=generator, **sizes
            )
        if name == "motion":
            if videos is None:
                raise ValueError(
                    "Invalid videos None: the motion mask needs the clips."
                )
            return motion_token_mask(
                videos, self.mask_ratio, generator=generator, **sizes
            )
        return _GRID_MASKS[name](
            (len(cells), self.grid),
            self.mask_ratio,
            generator=generator,
            device=cells.device,
        )
