"""Pixels as features: what a representation has to beat.

On some labels, small grey pictures already do well; a result without this baseline says
little about the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.luma import LUMA

__all__ = ["PixelConfig", "PixelFeatures"]


@dataclass(frozen=True)
class PixelConfig:
    """Sizes of the pixels baseline.

    Attributes:
        num_frames: Frames of a window.
        img_size: Height and width of a window in pixels.
        num_pictures: Frames that are looked at, evenly spaced over the window.
        side: Height and width that they are reduced to, in pixels.
    """

    num_frames: int = 16
    img_size: int = 224
    num_pictures: int = 4
    side: int = 16

    def __post_init__(self) -> None:
        """Rejects sizes that do not fit each other.

        Raises:
            UsageError: A ValueError, naming the field, its value and what is allowed.
        """
        for name, most in (
            ("num_pictures", self.num_frames),
            ("side", self.img_size),
        ):
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(
                    f"Invalid {name} ({getattr(self, name)}). It must be between 1 and "
                    f"{most}."
                )

    @property
    def encoder_dim(self) -> int:
        """Number of pixels in a feature."""
        return self.num_pictures * self.side**2

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens along time, height and width: the pictures are one token."""
        return 1, 1, 1

    @property
    def num_tokens(self) -> int:
        """Tokens of a window."""
        return 1


class PixelFeatures(nn.Module):
    """Small luma pictures of a few frames; a `WindowModel` without weights.

    Args:
        num_frames: Frames of a window.
        img_size: Height and width of a window in pixels.
        num_pictures: Frames that are looked at, evenly spaced over the window.
        side: Height and width that they are reduced to, in pixels.

    Attributes:
        config: The sizes.
    """

    luma: Tensor

    def __init__(
        self,
        num_frames: int = 16,
        img_size: int = 224,
        *,
        num_pictures: int = 4,
        side: int = 16,
    ) -> None:
        super().__init__()
        self.config = PixelConfig(num_frames, img_size, num_pictures, side)
        self.register_buffer("luma", torch.tensor(LUMA), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the pixels of every window.

        Args:
            images: Videos (B, 3, T, H, W), uint8 in [0, 255] or float in [0, 1], RGB.

        Returns:
            Tensor (B, D) in [0, 1], by frame, row, column.
        """
        config = self.config
        index = torch.linspace(0, images.shape[2] - 1, config.num_pictures)
        frames = images[:, :, index.round().long().to(images.device)]
        scale = 255 if images.dtype == torch.uint8 else 1
        luma = torch.einsum(
            "bcthw,c->bthw", frames.to(self.luma.dtype), self.luma / scale
        )
        return F.adaptive_avg_pool2d(luma, config.side).flatten(1)

    def encode(self, images: Tensor) -> Tensor:
        """Returns the pixels of every window as its only token.

        Args:
            images: Videos (B, 3, T, H, W), uint8 in [0, 255] or float in [0, 1], RGB.

        Returns:
            Tensor (B, 1, D) in [0, 1].
        """
        return self.forward(images).unsqueeze(1)
