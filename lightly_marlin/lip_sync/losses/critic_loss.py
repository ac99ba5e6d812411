"""Losses of a critic that tells real frames from generated ones, and of the other side.

- [0]: Generative Adversarial Nets, 2014, https://arxiv.org/abs/1406.2661
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightly_marlin.kernels.checks import check_floating

__all__ = ["CriticLoss"]


class CriticLoss(nn.Module):
    """Binary cross-entropy of a critic's logits, not saturating [0].

    Wav2Lip weights the generator's with 0.07. `MarlinAdversarialLoss` has the same
    methods, of a Wasserstein critic.

    Examples:
        >>> critic, loss = ImageCritic(width=4), CriticLoss()
        >>> real, fake = torch.rand(2, 1, 3, 16, 96, 96)
        >>> loss.discriminator_loss(critic(real), critic(fake)).backward()
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Returns the mean of the losses on real and on generated frames.

        Args:
            real_logits: Logits of real frames, any shape, floating point.
            fake_logits: Logits of generated frames, detached from their generator.

        Returns:
            Scalar, float32 (float64 for float64 logits); ln 2 = 0.69 is chance.

        Raises:
            ValueError: If there are no logits, or they are not floating point.
        """
        real = _cross_entropy("real_logits", real_logits, is_real=True)
        fake = _cross_entropy("fake_logits", fake_logits, is_real=False)
        return (real + fake) / 2

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Returns how far generated frames are from being taken for real.

        Args:
            fake_logits: Logits of generated frames, any shape, floating point.

        Returns:
            Scalar, float32 (float64 for float64 logits).

        Raises:
            ValueError: If there are no logits, or they are not floating point.
        """
        return _cross_entropy("fake_logits", fake_logits, is_real=True)


def _cross_entropy(name: str, logits: Tensor, *, is_real: bool) -> Tensor:
    check_floating(name, logits)
    if logits.numel() == 0:
        raise ValueError(f"{name} must not be empty.")
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    label = torch.full_like(logits, float(is_real))
    return F.binary_cross_entropy_with_logits(logits, label)
