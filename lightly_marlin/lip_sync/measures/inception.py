"""Inception v3 as the Fréchet Inception distance is defined by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import inception as torchvision_inception

from lightly_marlin.lip_sync.measures.published_weights import load_published_weights

__all__ = ["FEATURES", "FidInception"]

_LAYERS = (
    "Conv2d_1a_3x3",
    "Conv2d_2a_3x3",
    "Conv2d_2b_3x3",
    "maxpool1",
    "Conv2d_3b_1x1",
    "Conv2d_4a_3x3",
    "maxpool2",
    "Mixed_5b",
    "Mixed_5c",
    "Mixed_5d",
    "Mixed_6a",
    "Mixed_6b",
    "Mixed_6c",
    "Mixed_6d",
    "Mixed_6e",
    "Mixed_7a",
    "Mixed_7b",
    "Mixed_7c",
)

FEATURES = {64: "maxpool1", 192: "maxpool2", 768: "Mixed_6e", 2048: "Mixed_7c"}
"""Layers by the number of their features."""

_SIZE = 299
_CLASSES = 1008
_LAST_INPUT = 2048


def _average(x: Tensor) -> Tensor:
    """Averages neighbours, of which padding is none, unlike in torchvision's blocks."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _with_pool(outputs: Tensor, branch: nn.Module, pooled: Tensor) -> Tensor:
    """Returns outputs (B, C, H, W) of a block with other pooling in its last branch.

    The 1×1 convolution of that branch is computed twice: 5 % of the network's work.
    """
    last = branch(pooled)
    return torch.cat([outputs[:, : -last.shape[1]], last], dim=1)


class _BlockA(torchvision_inception.InceptionA):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        return _with_pool(super().forward(x), self.branch_pool, _average(x))


class _BlockC(torchvision_inception.InceptionC):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        return _with_pool(super().forward(x), self.branch_pool, _average(x))


class _BlockE(torchvision_inception.InceptionE):  # type: ignore[misc]
    def __init__(self, in_channels: int, **options: Any) -> None:
        super().__init__(in_channels, **options)
        self.is_last = in_channels == _LAST_INPUT

    def forward(self, x: Tensor) -> Tensor:
        pooled = (
            F.max_pool2d(x, 3, stride=1, padding=1) if self.is_last else _average(x)
        )
        return _with_pool(super().forward(x), self.branch_pool, pooled)


class FidInception(torchvision_inception.Inception3):  # type: ignore[misc]
    """Features of images whose distributions the Fréchet Inception distance compares.

    The network is that of the published distance [0], ported to PyTorch [1]: 1008
    outputs, average pooling that does not count padding, and max pooling in the last
    block. Images are scaled to 299×299 without antialiasing [1]; implementations that
    scale otherwise give other distances. It is a measure: it stays in evaluation mode,
    and its weights have no gradient.

    The published weights, `pt_inception-2015-12-05-6726825d.pth`, are not part of this
    package; [1] offers them.

    - [0]: GANs Trained by a Two Time-Scale Update Rule, 2017,
      https://arxiv.org/abs/1706.08500
    - [1]: https://github.com/mseitzer/pytorch-fid

    Args:
        num_features: 2048 for the Fréchet Inception distance; 768, 192 or 64 for
            earlier layers, which serve fewer images, but give another measure.

    Attributes:
        num_features: Number of features; `FrechetInceptionDistance` asks for it.
    """

    def __init__(self, num_features: int = 2048) -> None:
        if num_features not in FEATURES:
            raise ValueError(
                f"Invalid num_features ({num_features}). Supported values are "
                f"{', '.join(map(str, FEATURES))}."
            )
        super().__init__(
            num_classes=_CLASSES,
            aux_logits=False,
            init_weights=False,
            inception_blocks=[
                torchvision_inception.BasicConv2d,
                _BlockA,
                torchvision_inception.InceptionB,
                _BlockC,
                torchvision_inception.InceptionD,
                _BlockE,
                torchvision_inception.InceptionAux,
            ],
        )
        self.num_features = num_features
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def from_file(cls, path: Path | str, num_features: int = 2048) -> FidInception:
        """Reads published weights, without running code from the file.

        Args:
            path: The published `pt_inception-2015-12-05-6726825d.pth`, or a file of its
                form.
            num_features: As for the class.

        Raises:
            UsageError: A ValueError, if there is no such file, or its weights are not
                those of this network; the message names them.
        """
        inception = cls(num_features)
        name = "pt_inception-2015-12-05-6726825d.pth"
        load_published_weights(inception, path, name)
        return inception

    def train(self, mode: bool = True) -> FidInception:
        """Stays in evaluation mode, also as a part of a model in training.

        Args:
            mode: Without effect.
        """
        super().train(False)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Returns the features of images.

        Args:
            images: Tensor (B, 3, H, W), RGB: uint8 in [0, 255], or floating point in
                [0, 1].

        Returns:
            Tensor (B, num_features): means over positions of the layer's outputs.

        Raises:
            ValueError: If images have another shape, type or range.
        """
        x = F.interpolate(_pixels(images), (_SIZE, _SIZE), mode="bilinear")
        x = 2 * x.to(self.fc.weight) - 1
        for name in _LAYERS:
            x = getattr(self, name)(x)
            if name == FEATURES[self.num_features]:
                break
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


def _pixels(images: Tensor) -> Tensor:
    """Returns images as floating-point values, checked."""
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise ValueError(
            f"Invalid shape of images {tuple(images.shape)}. Supported is "
            "(B, 3, H, W), with B >= 1."
        )
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise ValueError(
            f"Invalid dtype of images {images.dtype}. Supported are torch.uint8, from "
            "0 to 255, and floats from 0 to 1."
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"Invalid range of images [{low:.4g}, {high:.4g}]. Floats have to be in "
            "[0, 1]; uint8 are scaled here."
        )
    return images
