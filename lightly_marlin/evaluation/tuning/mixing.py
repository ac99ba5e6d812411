"""MixUp and CutMix of labelled clips, by torchvision.

torchvision knows that the last two dimensions of a `tv_tensors.Video` are height and
width. timm's CutMix takes dimensions 2 and 3, which are time and height of a clip.

- [0]: mixup, 2018, https://arxiv.org/abs/1710.09412
- [1]: CutMix, 2019, https://arxiv.org/abs/1905.04899
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.utils.dependency import require

__all__ = ["mix_clips"]

_PURPOSE = "Mixing clips"


def mix_clips(
    videos: Tensor, labels: Tensor, *, mixup: float = 0.0, cutmix: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Mixes each clip and its label with those of another one of the batch.

    The numbers come from torch's global generator. With both, one of the two is tossed
    for the whole batch. All frames of a clip are mixed alike.

    Args:
        videos: Clips (B, C, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        labels: Floating-point tensor (B, K): one-hot classes or labels in [0, 1].
        mixup: Alpha of MixUp [0], 0 or more; 0 for none.
        cutmix: Alpha of CutMix [1], 0 or more; 0 for none.

    Returns:
        Clips and labels of the same shapes; mixed clips are floating point in [0, 1].

    Raises:
        ValueError: If an alpha is negative.
    """
    for name, alpha in (("mixup", mixup), ("cutmix", cutmix)):
        if alpha < 0:
            raise ValueError(f"Invalid {name} {alpha}: must be 0 or more.")
    if mixup == cutmix == 0:
        return videos, labels
    v2 = require("torchvision.transforms.v2", _PURPOSE)
    tv_tensors = require("torchvision.tv_tensors", _PURPOSE)
    choices = [(v2.MixUp, mixup), (v2.CutMix, cutmix)]
    choices = [(kind, alpha) for kind, alpha in choices if alpha > 0]
    kind, alpha = choices[int(torch.randint(len(choices), ()))]
    if not videos.is_floating_point():
        videos = videos.float() / 255
    mixed, soft = kind(alpha=alpha)(tv_tensors.Video(videos), labels)
    return mixed.as_subclass(Tensor), soft
