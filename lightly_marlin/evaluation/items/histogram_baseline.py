"""Histograms of oriented gradients (HOG) as features: what hand-crafted ones give.

An encoder that is trained to predict them has to beat them, or to come near with
features that are good for more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightly_marlin.loss.gradient_histograms import (
    EPSILON,
    gradient_histograms,
    histogram_dim,
)
from lightly_marlin.utils.errors import UsageError

__all__ = ["HistogramConfig", "HistogramFeatures"]


@dataclass(frozen=True)
class HistogramConfig:
    """Sizes of the baseline of histograms; tokens are tubelets, as MARLIN's.

    Attributes:
        num_frames: Frames of a window, a multiple of `tubelet_size`.
        img_size: Height and width of a window in pixels, a multiple of `patch_size`.
        tubelet_size: Frames of a tubelet.
        patch_size: Height and width of a tubelet in pixels.
        cells: Cells along each side of a tubelet.
        bins: Orientation bins.
        epsilon: Epsilon of the norm. It and all sizes tell kept features apart.
    """

    num_frames: int = 16
    img_size: int = 224
    tubelet_size: int = 2
    patch_size: int = 16
    cells: int = 2
    bins: int = 18
    epsilon: float = EPSILON

    def __post_init__(self) -> None:
        """Rejects sizes that do not fit each other.

        Raises:
            UsageError: A ValueError, naming the field, its value and what is allowed.
        """
        for name, unit in (
            ("num_frames", self.tubelet_size),
            ("img_size", self.patch_size),
        ):
            value = getattr(self, name)
            if value < unit or value % unit:
                raise UsageError(
                    f"Invalid {name} ({value}). It must be a multiple of {unit}."
                )

    @property
    def encoder_dim(self) -> int:
        """Numbers in the histograms of a tubelet."""
        return histogram_dim(self.cells, self.bins)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens along time, height and width."""
        side = self.img_size // self.patch_size
        return self.num_frames // self.tubelet_size, side, side

    @property
    def num_tokens(self) -> int:
        """Tokens of a window."""
        t, h, w = self.grid
        return t * h * w


class HistogramFeatures(nn.Module):
    """Histograms of gradients of every tubelet; a `WindowModel` without weights.

    Args:
        num_frames: Frames of a window.
        img_size: Height and width of a window in pixels.

    Attributes:
        config: The sizes.
    """

    device_of: Tensor

    def __init__(self, num_frames: int = 16, img_size: int = 224) -> None:
        super().__init__()
        self.config = HistogramConfig(num_frames, img_size)
        # It has no weights to tell device and dtype by.
        self.register_buffer("device_of", torch.zeros(()), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the mean of the tokens of every window.

        Args:
            images: Videos (B, 3, T, H, W), uint8 in [0, 255] or float in [0, 1], RGB.

        Returns:
            Tensor (B, D) in [0, 1].
        """
        return self.encode(images).mean(dim=1)

    def encode(self, images: Tensor) -> Tensor:
        """Returns the histograms of every tubelet, see `gradient_histograms`.

        Args:
            images: Videos (B, 3, T, H, W), uint8 in [0, 255] or float in [0, 1], RGB.

        Returns:
            Tensor (B, N, D) in [0, 1].
        """
        config = self.config
        tokens = gradient_histograms(
            images, config.tubelet_size, config.patch_size, config.cells, config.bins
        )
        return tokens.to(self.device_of.dtype)
