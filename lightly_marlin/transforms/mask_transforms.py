"""Masking strategies as transforms on one sample, for use inside a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import torch
from torch import Generator, Tensor

from lightly_marlin.regions import CELL_SIZE, RegionCells
from lightly_marlin.transforms.crfrp import crfrp_token_mask
from lightly_marlin.transforms.fasking import (
    FaskingMode,
    FaskingOrder,
    fasking_token_mask,
)
from lightly_marlin.transforms.grid_masks import (
    frame_token_mask,
    random_tubelet_mask,
    tube_token_mask,
)
from lightly_marlin.transforms.motion_mask import motion_token_mask
from lightly_marlin.transforms.running_cell import running_cell_decoder_mask

__all__ = [
    "Crfrp",
    "Fasking",
    "FrameMask",
    "MotionMask",
    "RandomTubeletMask",
    "RunningCellMask",
    "TubeMask",
]

Sample = Mapping[str, Any]


class _Options(TypedDict):
    patch_size: int
    tubelet_size: int
    num_prefix_tokens: int
    generator: Generator | None


class _MaskTransform(ABC):
    """Adds a mask to a sample: what all strategies share."""

    def __init__(
        self,
        mask_ratio: float = 0.9,
        *,
        patch_size: int = 16,
        tubelet_size: int = 2,
        num_prefix_tokens: int = 0,
        generator: Generator | None = None,
    ) -> None:
        """Sets the options.

        Args:
            mask_ratio: Share of tokens to mask, in (0, 1).
            patch_size: Side of a patch in pixels.
            tubelet_size: Frames per tubelet; 1 for images.
            num_prefix_tokens: Class tokens of the model.
            generator: Source of randomness; None for torch's global one, which data
                loader workers seed.
        """
        self.mask_ratio = mask_ratio
        self.patch_size = patch_size
        self.tubelet_size = tubelet_size
        self.num_prefix_tokens = num_prefix_tokens
        self.generator = generator

    def __call__(self, sample: Sample) -> dict[str, Any]:
        """Returns the sample with "idx_keep" (n_keep,) and "idx_mask" (n_mask,).

        Args:
            sample: Mapping with what the class says it needs.

        Raises:
            ValueError: If an entry is missing or out of shape or dtype.
        """
        idx_keep, idx_mask = self._draw(sample)
        return {**sample, "idx_keep": idx_keep[0], "idx_mask": idx_mask[0]}

    @abstractmethod
    def _draw(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Returns idx_keep (1, n_keep) and idx_mask (1, n_mask)."""

    def _options(self) -> _Options:
        return {
            "patch_size": self.patch_size,
            "tubelet_size": self.tubelet_size,
            "num_prefix_tokens": self.num_prefix_tokens,
            "generator": self.generator,
        }


class Fasking(_MaskTransform):
    """Adds a Fasking mask to a sample; see `fasking_token_mask`.

    The sample needs "regions": label maps (T, H, W), region cells as int32 bit masks
    (T, H / 8, W / 8), or `RegionCells`. With "video" (C, T, H, W) in the sample, maps
    and cells are told apart by their size; without, an int32 tensor holds cells.

    Args:
        mask_ratio: Share of tokens to mask, in (0, 1).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet; 1 for images.
        mode: "tubelet" or "tube".
        order: "components_masked_first" or "components_visible_first".
        num_prefix_tokens: Class tokens of the model.
        generator: Source of randomness; None for torch's global one, which data loader
            workers seed.
    """

    def __init__(
        self,
        mask_ratio: float = 0.9,
        *,
        patch_size: int = 16,
        tubelet_size: int = 2,
        mode: FaskingMode = "tubelet",
        order: FaskingOrder = "components_masked_first",
        num_prefix_tokens: int = 0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(
            mask_ratio,
            patch_size=patch_size,
            tubelet_size=tubelet_size,
            num_prefix_tokens=num_prefix_tokens,
            generator=generator,
        )
        self.mode: FaskingMode = mode
        self.order: FaskingOrder = order

    def _draw(self, sample: Sample) -> tuple[Tensor, Tensor]:
        return fasking_token_mask(
            _batch_of_one(sample),
            self.mask_ratio,
            mode=self.mode,
            order=self.order,
            **self._options(),
        )


class Crfrp(_MaskTransform):
    """Adds a CRFR-P mask to a sample; see `crfrp_token_mask`.

    The sample needs "regions" as `Fasking` does.
    """

    def _draw(self, sample: Sample) -> tuple[Tensor, Tensor]:
        return crfrp_token_mask(
            _batch_of_one(sample), self.mask_ratio, **self._options()
        )


class MotionMask(_MaskTransform):
    """Adds a mask that follows motion to a sample; see `motion_token_mask`.

    The sample needs "video" (C, T, H, W), uint8 or floating point.
    """

    def _draw(self, sample: Sample) -> tuple[Tensor, Tensor]:
        return motion_token_mask(
            _video(sample).unsqueeze(0), self.mask_ratio, **self._options()
        )


class _GridMask(_MaskTransform):
    """Adds a mask that depends on nothing but the size of the sample's "video"."""

    _token_mask: Callable[..., tuple[Tensor, Tensor]]

    def _draw(self, sample: Sample) -> tuple[Tensor, Tensor]:
        return type(self)._token_mask(
            (1, _grid(sample, self.tubelet_size, self.patch_size)),
            self.mask_ratio,
            num_prefix_tokens=self.num_prefix_tokens,
            generator=self.generator,
        )


class TubeMask(_GridMask):
    """Adds a tube mask to a sample; see `tube_token_mask`.

    The sample needs "video" (C, T, H, W), which the tubelets tile.
    """

    _token_mask = staticmethod(tube_token_mask)


class FrameMask(_GridMask):
    """Adds a frame mask to a sample; see `frame_token_mask`.

    The sample needs "video" (C, T, H, W), which the tubelets tile.
    """

    _token_mask = staticmethod(frame_token_mask)


class RandomTubeletMask(_GridMask):
    """Adds a random mask to a sample; see `random_tubelet_mask`.

    The sample needs "video" (C, T, H, W), which the tubelets tile.
    """

    _token_mask = staticmethod(random_tubelet_mask)


class RunningCellMask:
    """Thins the mask of a sample for the decoder; see `running_cell_decoder_mask`.

    Comes after the transform that adds the mask.

    Args:
        decode_ratio: Share of the masked tokens to decode, in (0, 1].
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet.
        num_prefix_tokens: Class tokens of the model.
        generator: Source of randomness; None for torch's global one.
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

    def __call__(self, sample: Sample) -> dict[str, Any]:
        """Returns the sample with fewer indices in "idx_mask".

        Args:
            sample: Mapping with "video" (C, T, H, W) and "idx_mask" (n_mask,).

        Raises:
            ValueError: If an entry is missing or the tubelets do not tile the video.
        """
        if "idx_mask" not in sample:
            raise ValueError(
                f"Invalid sample: needs the key 'idx_mask', got {sorted(sample)}. Put "
                "a transform that adds a mask before this one."
            )
        idx_mask = running_cell_decoder_mask(
            sample["idx_mask"].unsqueeze(0),
            _grid(sample, self.tubelet_size, self.patch_size),
            self.decode_ratio,
            num_prefix_tokens=self.num_prefix_tokens,
            generator=self.generator,
        )
        return {**sample, "idx_mask": idx_mask[0]}


def _batch_of_one(sample: Sample) -> Tensor | RegionCells:
    if "regions" not in sample:
        raise ValueError(
            f"Invalid sample: needs the key 'regions', got {sorted(sample)}."
        )
    regions = sample["regions"]
    if isinstance(regions, RegionCells):
        return RegionCells(regions.bits.unsqueeze(0))
    if _holds_cells(regions, sample.get("video")):
        return RegionCells(regions.unsqueeze(0))
    labels: Tensor = regions.unsqueeze(0)
    return labels


def _holds_cells(regions: Tensor, video: Tensor | None) -> bool:
    if video is None:
        return regions.dtype == torch.int32
    return regions.shape[-1] * CELL_SIZE == video.shape[-1]


def _video(sample: Sample) -> Tensor:
    if "video" not in sample:
        raise ValueError(
            f"Invalid sample: needs the key 'video', got {sorted(sample)}."
        )
    video: Tensor = sample["video"]
    return video


def _grid(sample: Sample, tubelet: int, patch: int) -> tuple[int, int, int]:
    """Returns the token grid (t, h, w) of the sample's video."""
    _, frames, height, width = _video(sample).shape
    if frames % tubelet or height % patch or width % patch:
        raise ValueError(
            f"Invalid tubelet {tubelet}x{patch}x{patch}: does not tile a video of "
            f"{frames} frames of {height}x{width} pixels."
        )
    return frames // tubelet, height // patch, width // patch
