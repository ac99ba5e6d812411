"""Losses on the cosines of an expert: its own, and that of generated frames."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightly_marlin.kernels.checks import check_floating
from lightly_marlin.lip_sync.networks.sync_expert import SyncExpert

__all__ = ["SyncLoss", "cosine_bce"]

_EPSILON = 1e-6

_Loss = TypeVar("_Loss", bound="SyncLoss")


def cosine_bce(similarity: Tensor, in_sync: Tensor) -> Tensor:
    """Returns the binary cross-entropy of cosines, the loss an expert is trained with.

    Chance is ln 2 = 0.69 [0]. Cosines are limited to [1e-6, 1 - 1e-6], beyond which
    there is no gradient: at 0 it would be infinite.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010

    Args:
        similarity: Floating-point tensor (...) in [0, 1].
        in_sync: Tensor (...): true or 1 for pairs in sync, false or 0 for others.

    Returns:
        Scalar, float32 (float64 for float64 cosines): the mean over pairs.

    Raises:
        ValueError: If the shapes differ, there are no pairs, or the dtype is not
            floating point.
    """
    check_floating("similarity", similarity)
    if similarity.shape != in_sync.shape or similarity.numel() == 0:
        raise ValueError(
            "similarity and in_sync must have the same shape and not be empty, got "
            f"{tuple(similarity.shape)} and {tuple(in_sync.shape)}."
        )
    dtype = torch.promote_types(similarity.dtype, torch.float32)
    with torch.autocast(similarity.device.type, enabled=False):
        cosines = similarity.to(dtype).clamp(_EPSILON, 1 - _EPSILON)
        return F.binary_cross_entropy(cosines, in_sync.to(dtype))


class SyncLoss(nn.Module):
    """Loss that draws generated lips towards their sound, by a frozen expert [0].

    The mean of -ln cosine over all windows of the expert: one for as many frames as it
    sees, and every run of five frames of a longer clip for Wav2Lip's. Frames get a
    gradient; the expert gets none. It stays in evaluation mode, whatever the mode of
    the module that holds this loss.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010

    Args:
        expert: A trained expert. It is frozen in place: its parameters no longer
            require gradients.

    Examples:
        >>> loss = SyncLoss(SyncExpert(num_frames=5, width=4))
        >>> generated = torch.rand(1, 3, 16, 96, 96, requires_grad=True)
        >>> loss(generated, torch.randn(1, 16, 1, 80, 16)).backward()
    """

    def __init__(self, expert: SyncExpert) -> None:
        super().__init__()
        self.expert = expert.eval().requires_grad_(False)

    def train(self: _Loss, mode: bool = True) -> _Loss:
        """Sets the mode of this module, but leaves the expert in evaluation mode.

        Args:
            mode: Whether to train.
        """
        super().train(mode)
        self.expert.eval()
        return self

    def forward(self, generated: Tensor, mel: Tensor) -> Tensor:
        """Returns the loss of one batch.

        Args:
            generated: Face crops (B, 3, T, H, W), floating point in [0, 1], with T at
                least the expert's `num_frames`.
            mel: Windows of sound (B, n, 1, 80, steps) of the expert's `mel_steps`.
                Window i starts beside frame i, as `mel_windows` cuts it: those for a
                generator serve an expert of 5 frames, too. n is at least the number of
                windows of frames, T - `num_frames` + 1; the rest is not used.

        Returns:
            Scalar, float32 (float64 for an expert with such weights).

        Raises:
            ValueError: If a shape or dtype is not allowed.
        """
        check_floating("generated", generated, ndim=5)
        check_floating("mel", mel, ndim=5)
        window = self.expert.num_frames
        count = generated.shape[2] - window + 1
        if count < 1 or len(generated) != len(mel) or mel.shape[1] < count:
            raise ValueError(
                f"generated {tuple(generated.shape)} and mel {tuple(mel.shape)} do not "
                f"fit. Supported is (B, 3, T, H, W) with T >= {window}, and "
                f"(B, n, 1, 80, {self.expert.mel_steps}) with n > T - {window}."
            )
        windows = generated.unfold(2, window, 1).permute(0, 2, 1, 5, 3, 4)
        sounds = mel[:, :count]
        cosines = self.expert.similarity(
            *self.expert(windows.flatten(0, 1), sounds.flatten(0, 1))
        )
        return cosine_bce(cosines, torch.ones_like(cosines))
