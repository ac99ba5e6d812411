"""Convolutional blocks that the expert and the generators are built from."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["ConvBlock", "ResidualBlock", "UpBlock", "conv_tower", "group_norm"]

Norm = Callable[[int], nn.Module]

_GROUPS = 8


def group_norm(channels: int) -> nn.Module:
    """Returns a GroupNorm of up to 8 groups.

    It takes no other pictures into account, and levels out what is the same all over
    one: not for spectrograms, whose level is the loudness.

    Args:
        channels: Number of channels.
    """
    return nn.GroupNorm(math.gcd(_GROUPS, channels), channels)


class ConvBlock(nn.Sequential):
    """Convolution, norm, ReLU.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        kernel: Height and width of the kernel, or one number for both.
        stride: Strides along height and width, or one number for both.
        padding: Rows and columns of zeros at each edge; None for half the kernel, so
            that n pixels become ceil(n / stride) with an odd kernel.
        norm: Function from a number of channels to a layer.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        *,
        padding: int | None = None,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        if padding is None:
            assert isinstance(kernel, int)
            padding = kernel // 2
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        super().__init__(conv, norm(outputs), nn.ReLU())


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity, and a ReLU.

    Args:
        channels: Channels of input and output.
        norm: Function from a number of channels to a layer.
    """

    def __init__(self, channels: int, *, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv1 = ConvBlock(channels, channels, norm=norm)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = norm(channels)
        self.act = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Refines feature maps.

        Args:
            maps: (B, C, H, W).

        Returns:
            (B, C, H, W), not negative.
        """
        refined: Tensor = self.act(maps + self.norm2(self.conv2(self.conv1(maps))))
        return refined


class UpBlock(nn.Sequential):
    """Transposed convolution, which doubles height and width, and a convolution.

    The kernel of 4 pixels is a multiple of the stride of 2: every pixel of the result
    gets the same number of contributions, which avoids checkerboards [0].

    - [0]: Deconvolution and Checkerboard Artifacts, 2016,
      https://distill.pub/2016/deconv-checkerboard/

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        norm: Function from a number of channels to a layer.
    """

    def __init__(
        self, inputs: int, outputs: int, *, norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__(
            nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1, bias=False),
            norm(outputs),
            nn.ReLU(),
            ConvBlock(outputs, outputs, norm=norm),
        )


def conv_tower(
    channels: int,
    grid: tuple[int, int],
    width: int,
    stem_stride: int | tuple[int, int] = 1,
    *,
    norm: Norm = nn.BatchNorm2d,
) -> nn.Sequential:
    """Builds a network from a picture to a vector, every layer of which ends in ReLU.

    A stem, four stages that halve the picture and double the channels, and a
    convolution over all that is left.

    Args:
        channels: Channels of the picture.
        grid: Height and width of the picture.
        width: Channels after the stem.
        stem_stride: Strides of the stem along height and width, or one for both.
        norm: Function from a number of channels to a layer.

    Returns:
        Module from (B, channels, *grid) to (B, 16 width), not negative.
    """
    layers: list[nn.Module] = [ConvBlock(channels, width, 5, stem_stride, norm=norm)]
    if isinstance(stem_stride, int):
        stem_stride = stem_stride, stem_stride
    left = [math.ceil(n / stride) for n, stride in zip(grid, stem_stride, strict=True)]
    for _ in range(4):
        layers += [ConvBlock(width, 2 * width, stride=2, norm=norm)]
        width, left = 2 * width, [math.ceil(n / 2) for n in left]
        layers += [ResidualBlock(width, norm=norm)]
    whole = ConvBlock(width, width, (left[0], left[1]), padding=0, norm=norm)
    return nn.Sequential(
        *layers, whole, ConvBlock(width, width, 1, norm=norm), nn.Flatten()
    )
