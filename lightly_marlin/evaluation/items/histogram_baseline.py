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
from lightly_marlin.models.config import TubeletSizes

__all__ = ["HistogramConfig", "HistogramFeatures"]


@dataclass(frozen=True)
class HistogramConfig(TubeletSizes):
    """Sizes of the baseline of histograms.

    Attributes:
        cells: Cells along each side of a tubelet.
        bins: Orientation bins.
        epsilon: Epsilon of the norm; as a size, it tells cached features apart.
    """

    cells: int = 2
    bins: int = 18
    epsilon: float = EPSILON

    @property
    def encoder_dim(self) -> int:
        """Numbers in the histograms of a tubelet."""
        return histogram_dim(self.cells, self.bins)


class HistogramFeatures(nn.Module):
    """Histograms of gradients of every tubelet; a `WindowModel` without weights.

    Args:
        num_frames: Frames of a window.
        img_size: Height and width of a window in pixels.

    Attributes:
        config: The sizes.

    Raises:
        UsageError: A ValueError, if tubelets do not fill a window.
    """

    device_of: Tensor

    def __init__(self, num_frames: int = 16, img_size: int = 224) -> None:
        super().__init__()
        self.config = HistogramConfig(img_size=img_size, num_frames=num_frames)
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
