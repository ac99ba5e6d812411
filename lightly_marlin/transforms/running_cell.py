"""Running cell masking of the decoder: only a part of the masked tokens is decoded.

- [0]: VideoMAE V2, 2023, https://arxiv.org/abs/2303.16727 (dual masking), and its
  released code: `dataset/masking_generator.py` and `engine_for_pretraining.py`,
  https://github.com/OpenGVLab/VideoMAEv2
- [1]: MAR, 2022, https://arxiv.org/abs/2207.11660 (cell running masking)

The pattern and its path through the cell are those released with [0]; in [1] it moves
in the opposite direction and starts separately in each cell. The difference: in [0] the
decoder gets every token of the pattern, and those that the encoder saw do not count in
the loss, so the number that counts can differ from clip to clip. Here the pattern
chooses among the masked tokens alone, and the same number is chosen in every clip: if
the pattern has too many, random ones are left out; if it has too few, random ones are
added from the place whose turn is next.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, Tensor

from lightly_marlin.transforms.clip_draws import Randomness
from lightly_marlin.transforms.mask_indices import indices_to_mask
from lightly_marlin.transforms.sample import Sample, sample_entry, sample_video
from lightly_marlin.transforms.token_grid import Grid, tile
from lightly_marlin.transforms.token_selection import draw_uniform
from lightly_marlin.transforms.worker_stream import WorkerStream

__all__ = ["RunningCellMask", "running_cell_decoder_mask"]

_PLACES = 4
"""Places in a cell of 2x2 tokens, numbered row by row."""


def running_cell_decoder_mask(
    idx_mask: Tensor,
    grid: Grid,
    decode_ratio: float = 0.5,
    *,
    num_prefix_tokens: int = 0,
    generator: Randomness | None = None,
) -> Tensor:
    """Chooses the masked tokens to decode; every place has its turn over time.

    Cells of 2x2 tokens tile each tubelet. At a ratio of 0.5, two places of each cell
    that are adjacent in cyclic row-by-row order are decoded, and from tubelet to
    tubelet both move back by one place: the lower row, a diagonal, the upper row, the
    other diagonal. The start is drawn once per clip.

    The result replaces `idx_mask` in `Marlin(videos, idx_keep, idx_mask)` and in
    `MarlinReconstructionLoss`.

    Args:
        idx_mask: int64 indices of the masked tokens, ascending, (B, n_mask).
        grid: Token grid (t, h, w).
        decode_ratio: Share of the masked tokens to decode, in (0, 1].
        num_prefix_tokens: Class tokens by which the indices are shifted.
        generator: Source of randomness, of any device, or `ClipDraws`; None for torch's
            global one.

    Returns:
        int64 indices (B, int(n_mask * decode_ratio)), ascending, a subset of
        `idx_mask`, on its device.

    Raises:
        ValueError: If an argument has an unsupported shape or range.
    """
    if not 0.0 < decode_ratio <= 1.0:
        raise ValueError(
            f"Invalid decode_ratio {decode_ratio}. Supported values are in (0, 1]."
        )
    if len(grid) != 3 or min(grid) < 1:
        raise ValueError(
            f"Invalid grid {grid!r}. Supported is (t, h, w), all numbers positive."
        )
    # The slack keeps 29 of 100 at a ratio of 0.29, although 100 * 0.29 is a bit less.
    count = int(idx_mask.shape[-1] * decode_ratio + 1e-6)
    if count == 0:
        raise ValueError(
            f"Invalid decode_ratio {decode_ratio}: it decodes none of "
            f"{idx_mask.shape[-1]} masked tokens."
        )
    masked = indices_to_mask(idx_mask - num_prefix_tokens, math.prod(grid))
    turn = _turns(len(idx_mask), grid, idx_mask.device, generator)
    # All places of the pattern are equal; later ones only fill up the count.
    width = math.ceil(_PLACES * decode_ratio - 1e-6)
    turn = turn.masked_fill(turn < width, 0)
    scores = draw_uniform(tuple(turn.shape), turn.device, generator) + turn
    scores = scores.masked_fill(~masked, _PLACES + 1.0)
    chosen = scores.topk(count, dim=1, largest=False).indices
    return chosen.sort(dim=1).values + num_prefix_tokens


class RunningCellMask:
    """Thins the mask of a sample for the decoder; see `running_cell_decoder_mask`.

    Use it after the transform that adds the mask.

    Args:
        decode_ratio: Share of the masked tokens to decode, in (0, 1].
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet.
        num_prefix_tokens: Class tokens of the model.
        generator: Source of randomness; None for torch's global one. In DataLoader
            workers, see `worker_stream`.
    """

    def __init__(
        self,
        decode_ratio: float = 0.5,
        *,
        patch_size: int = 16,
        tubelet_size: int = 2,
        num_prefix_tokens: int = 0,
        generator: Generator | None = None,
    ) -> None:
        self.decode_ratio = decode_ratio
        self.patch_size = patch_size
        self.tubelet_size = tubelet_size
        self.num_prefix_tokens = num_prefix_tokens
        self.generator = generator
        self._stream = WorkerStream()

    def __call__(self, sample: Sample) -> dict[str, Any]:
        """Returns the sample with fewer indices in "idx_mask".

        Args:
            sample: Mapping with "video" (C, T, H, W) and "idx_mask" (n_mask,).

        Raises:
            ValueError: If an entry is missing or the tubelets do not tile the video.
        """
        advice = " Put a transform that adds a mask before this one."
        idx_mask = sample_entry(sample, "idx_mask", advice)
        _, *clip = sample_video(sample).shape
        sizes = {"patch_size": self.patch_size, "tubelet_size": self.tubelet_size}
        idx_decode = running_cell_decoder_mask(
            idx_mask[None],
            tile(*clip, **sizes),
            self.decode_ratio,
            num_prefix_tokens=self.num_prefix_tokens,
            generator=self._stream(self.generator),
        )
        return {**sample, "idx_mask": idx_decode[0]}


def _turns(
    batch: int,
    grid: Grid,
    device: torch.device,
    generator: Randomness | None,
) -> Tensor:
    """Returns int64 (B, N) in [0, 4): each token's distance in places to its turn.

    It decreases by one from tubelet to tubelet; 0 is followed by 3.
    """
    tubelets, height, width = grid
    rows = torch.arange(height, device=device) % 2
    columns = torch.arange(width, device=device) % 2
    place = (2 * rows[:, None] + columns[None, :]).flatten()
    start = (draw_uniform((batch, 1, 1), device, generator) * _PLACES).long()
    tubelet = torch.arange(tubelets, device=device).view(1, -1, 1)
    return ((start - tubelet - place) % _PLACES).flatten(1)
