"""Wasserstein adversarial loss on the scores of a discriminator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

__all__ = ["MarlinAdversarialLoss"]


class MarlinAdversarialLoss(nn.Module):
    """Wasserstein losses of discriminator and generator, and the gradient penalty.

    The discriminator learns to score real patches above predicted ones, the generator
    to raise the scores of its predictions [0]. No weights are applied here: MARLIN adds
    0.01 times the generator's loss to the reconstruction loss and, if enabled, 10 times
    the penalty to the discriminator's [1]. In the released configuration the penalty is
    off, and the critic has no Lipschitz constraint: add the penalty, or clip weights,
    in long runs.

    - [0]: WGAN, 2017, https://arxiv.org/abs/1701.07875
    - [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
    - [2]: WGAN-GP, 2017, https://arxiv.org/abs/1704.00028 (Eq. 3)

    Examples:
        >>> adversarial, critic = MarlinAdversarialLoss(), nn.Linear(1536, 1)
        >>> real, fake = torch.rand(2, 1412, 1536), torch.rand(2, 1412, 1536)
        >>> loss = adversarial.discriminator_loss(critic(real), critic(fake))
        >>> loss = loss + 10 * adversarial.gradient_penalty(critic, real, fake)
        >>> loss.backward()
    """

    def discriminator_loss(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """Returns mean(fake_scores) - mean(real_scores); pass detached predictions.

        Args:
            real_scores: Scores of real patches, any shape, floating point, unbounded.
            fake_scores: Scores of predicted patches, any shape.

        Returns:
            Scalar, float32 (float64 for float64 scores).

        Raises:
            ValueError: If there are no scores.
        """
        return _mean("fake_scores", fake_scores) - _mean("real_scores", real_scores)

    def generator_loss(self, fake_scores: Tensor) -> Tensor:
        """Returns -mean(fake_scores).

        Args:
            fake_scores: Scores of predicted patches, any shape, floating point,
                unbounded.

        Returns:
            Scalar, float32 (float64 for float64 scores).

        Raises:
            ValueError: If there are no scores.
        """
        return -_mean("fake_scores", fake_scores)

    def gradient_penalty(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real_patches: Tensor,
        fake_patches: Tensor,
        generator: Generator | None = None,
        share: Tensor | None = None,
    ) -> Tensor:
        """Returns mean((|d score / d patch| - 1)^2) between real and fake patches [2].

        The gradient is taken at a random point on the line from each fake patch to its
        real one. Each patch has its own point, like each sample in WGAN-GP; the
        released MARLIN draws one number for the whole batch, which checks the
        discriminator at only one mixture. The penalty is computed in float32 even under
        autocast, because gradient norms of low-precision scores are noise; the
        discriminator's parameters must therefore be float32.

        Args:
            discriminator: Function from patches (..., P) to scores (..., 1), each patch
                scored independently.
            real_patches: (..., P) floating point.
            fake_patches: (..., P), the same shape. Both are detached.
            generator: Source of the random points, on the device of the patches; None
                for PyTorch's own.
            share: Places of the points instead, (..., 1) in [0, 1): 0 is at the fake
                patch, 1 at the real one. None draws them.

        Returns:
            Scalar, float32 (float64 for float64 patches), differentiable in the
            parameters of the discriminator.

        Raises:
            ValueError: If the shapes differ or are empty.
        """
        if real_patches.shape != fake_patches.shape or real_patches.numel() == 0:
            raise ValueError(
                "real_patches and fake_patches must have the same shape (..., P) and "
                f"not be empty, got {tuple(real_patches.shape)} and "
                f"{tuple(fake_patches.shape)}."
            )
        device = real_patches.device
        with torch.autocast(device.type, enabled=False), torch.enable_grad():
            real = _at_least_float32(real_patches.detach())
            fake = _at_least_float32(fake_patches.detach())
            if share is None:
                share = torch.rand(
                    *real.shape[:-1],
                    1,
                    generator=generator,
                    dtype=real.dtype,
                    device=device,
                )
            between = torch.lerp(fake, real, share.to(real)).requires_grad_()
            scores = discriminator(between)
            (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
            norm: Tensor = torch.linalg.vector_norm(gradient, dim=-1)
            return (norm - 1).square().mean()


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _mean(name: str, scores: Tensor) -> Tensor:
    if scores.numel() == 0:
        raise ValueError(
            f"{name} must hold at least one score, got shape {tuple(scores.shape)}."
        )
    return _at_least_float32(scores).mean()
