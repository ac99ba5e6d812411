"""Masks of whole batches, drawn by a named strategy for each clip's position."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms.clip_draws import ClipDraws, step_positions
from lightly_marlin.transforms.mask_strategy import MaskInputs, MaskStrategy
from lightly_marlin.transforms.mixture import MixtureSchedule, mixture_token_mask
from lightly_marlin.transforms.registry import get_mask, mask_names, split_mask_name
from lightly_marlin.transforms.running_cell import running_cell_decoder_mask
from lightly_marlin.transforms.token_grid import Grid
from lightly_marlin.transforms.token_selection import num_visible

__all__ = ["BatchMasking"]


class BatchMasking:
    """Masks of a batch; a clip at the same position gets the same mask again.

    Whatever clips are beside it, in one process or in many: see `ClipDraws`.

    Args:
        name: Name of a registered strategy, or two joined by "+" for a mixture.
        mask_ratio: Share of tokens to mask, in (0, 1).
        grid: Token grid (t, h, w).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet.
        schedule: Shares of the two strategies of a mixture; None for halves.
        decode_ratio: Share of the masked tokens in idx_mask, in (0, 1], chosen by
            `running_cell_decoder_mask` when below 1.
        seed: Seed of all masks.
        stream: Number of the use, see `ClipDraws`; masks of equal seeds and
            different numbers are independent.
        **options: Options of the strategies, such as `mode` and `order` of Fasking;
            each strategy takes its own.

    Raises:
        ValueError: If the name or an option is unknown, or a ratio leaves no token.
    """

    def __init__(
        self,
        name: str,
        mask_ratio: float,
        *,
        grid: Grid,
        patch_size: int,
        tubelet_size: int,
        schedule: MixtureSchedule | None = None,
        decode_ratio: float = 1.0,
        seed: int = 0,
        stream: int = 0,
        **options: Any,
    ) -> None:
        if not 0 < decode_ratio <= 1:
            raise ValueError(
                f"Invalid decode_ratio {decode_ratio}. Supported values are in (0, 1]."
            )
        num_visible(math.prod(grid), mask_ratio)
        _check_options(options)
        self.name = name
        self.grid = grid
        self.schedule = schedule or MixtureSchedule((0.5, 0.5))
        self.decode_ratio = decode_ratio
        self.seed = seed
        self.stream = stream
        self.strategies: list[MaskStrategy] = []
        for strategy in map(get_mask, split_mask_name(name)):
            own = {key: options[key] for key in strategy.options() if key in options}
            self.strategies.append(
                strategy(
                    mask_ratio, patch_size=patch_size, tubelet_size=tubelet_size, **own
                )
            )

    def __call__(
        self,
        cells: Tensor,
        step: int,
        positions: Tensor | None = None,
        videos: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draws masks.

        Args:
            cells:
                int32 bit masks of region cells with shape (B, T, H / 8, W / 8). Masks
                that need no regions only use their batch size and device.
            step: Number of the step, for the schedule of a mixture.
            positions: int64 (B,), on the CPU: number of each clip in the training;
                None for steps of B clips in one process.
            videos: Clips (B, C, T, H, W), for masks that need them.

        Returns:
            Tuple (idx_keep, idx_mask) of int64 indices on the device of `cells`.

        Raises:
            ValueError: If a mask that needs clips gets none.
        """
        if positions is None:
            positions = step_positions(len(cells), step * len(cells))
        draws = ClipDraws(self.seed, positions, stream=self.stream)
        given = self.inputs(cells, videos, draws)
        drawn = [strategy.draw(given) for strategy in self.strategies]
        idx_keep, idx_mask = drawn[0]
        if len(drawn) > 1:
            shares = self.schedule(step)
            idx_keep, idx_mask = mixture_token_mask(drawn, shares, generator=draws)
        if self.decode_ratio < 1:
            idx_mask = running_cell_decoder_mask(
                idx_mask, self.grid, self.decode_ratio, generator=draws
            )
        return idx_keep, idx_mask

    def inputs(
        self, cells: Tensor, videos: Tensor | None, draws: ClipDraws | None = None
    ) -> MaskInputs:
        """Returns the strategies' inputs for a batch."""
        needed = any("regions" in strategy.needs for strategy in self.strategies)
        regions = RegionCells(cells) if needed else None
        size = (len(cells), self.grid)
        generator = None if draws is None else draws.generator()
        return MaskInputs(size, regions, videos, generator, cells.device, draws)


def _check_options(options: dict[str, Any]) -> None:
    """Raises ValueError if an option belongs to none of the strategies."""
    known = {key for name in mask_names() for key in get_mask(name).options()}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(
            f"Invalid options of a mask: {', '.join(unknown)}. Supported are "
            f"{', '.join(sorted(known))}."
        )
