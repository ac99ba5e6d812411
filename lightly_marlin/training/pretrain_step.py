"""One training step of MARLIN: the discriminator's update, then the generator's.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627 (equations 3 to 7)

The released code runs the generator forward and backward twice in a step, because its
discriminator step does not detach the prediction. The generator's weights do not change
in between and nothing in it is random, so one forward gives the same updates: detached
for the discriminator, then with its graph for the generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.nn import Module

from lightly_marlin.kernels import gather_tubelets
from lightly_marlin.loss import MarlinAdversarialLoss, MarlinReconstructionLoss
from lightly_marlin.models import Marlin

__all__ = ["PretrainStep", "StepLosses"]


class _Optimizer(Protocol):
    """An optimizer of torch, or one that a trainer has wrapped."""

    def zero_grad(self) -> None: ...

    def step(self) -> object: ...


@dataclass(frozen=True)
class StepLosses:
    """Detached scalar losses of one step, unweighted.

    Attributes:
        reconstruction: Reconstruction loss of the masked tokens.
        generator_adversarial: -mean score of the predicted tubelets; 0 without a
            discriminator.
        discriminator: mean(fake) - mean(real), without the gradient penalty; 0 without
            a discriminator.
    """

    reconstruction: Tensor
    generator_adversarial: Tensor
    discriminator: Tensor


class PretrainStep:
    """The updates of one batch.

    Args:
        model: Generator.
        discriminator: Critic of single tubelets, or None to train without one.
        generator_optimizer: Optimizer of `model`.
        discriminator_optimizer: Optimizer of `discriminator`, or None with it.
        reconstruction_loss: Loss of the masked tokens; by default as released.
        adversarial_weight: Weight of the adversarial loss of the generator.
        gradient_penalty_weight:
            Weight of the gradient penalty of the discriminator; 0 as released. Nothing
            else bounds the critic, so long trainings are safer with 10.
        backward: Called in place of `Tensor.backward`, for trainers that scale losses.
    """

    def __init__(
        self,
        model: Marlin,
        discriminator: Module | None,
        generator_optimizer: _Optimizer,
        discriminator_optimizer: _Optimizer | None,
        *,
        reconstruction_loss: MarlinReconstructionLoss | None = None,
        adversarial_weight: float = 0.01,
        gradient_penalty_weight: float = 0.0,
        backward: Callable[[Tensor], None] = torch.Tensor.backward,
    ) -> None:
        if (discriminator is None) != (discriminator_optimizer is None):
            raise ValueError(
                "Invalid discriminator_optimizer: give it together with discriminator, "
                "or neither."
            )
        self.model = model
        self.discriminator = discriminator
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.reconstruction_loss = reconstruction_loss or MarlinReconstructionLoss(
            tubelet_size=model.config.tubelet_size, patch_size=model.config.patch_size
        )
        self.adversarial_loss = MarlinAdversarialLoss()
        self.adversarial_weight = adversarial_weight
        self.gradient_penalty_weight = gradient_penalty_weight
        self.backward = backward

    def __call__(
        self,
        videos: Tensor,
        idx_keep: Tensor,
        idx_mask: Tensor,
        generator: Generator | None = None,
    ) -> StepLosses:
        """Updates discriminator and model by one batch.

        Args:
            videos:
                Tensor with shape (B, 3, T, H, W), uint8 in [0, 255] or floating point
                in [0, 1].
            idx_keep: int64 indices of the visible tokens, (B, n_keep).
            idx_mask: int64 indices of the masked tokens, (B, n_mask).
            generator: Source of randomness of the gradient penalty.

        Returns:
            The losses before the update of what they train: that of the generator is
            scored by the updated discriminator, as released.
        """
        pred = self.model(videos, idx_keep, idx_mask)
        zero = pred.new_zeros((), dtype=torch.float32)
        discriminator_loss = adversarial = zero
        if self.discriminator is not None:
            discriminator_loss = self._update_discriminator(
                self.discriminator, pred.detach(), videos, idx_mask, generator
            )
        reconstruction = self.reconstruction_loss(pred, videos, idx_mask)
        loss = reconstruction
        if self.discriminator is not None:
            # Its weights take no part in the generator's step: no gradients for them.
            # Nor may autocast reuse copies that it made before they were updated, as
            # it does for weights with gradients.
            self.discriminator.requires_grad_(False)
            adversarial = self.adversarial_loss.generator_loss(self.discriminator(pred))
            loss = loss + self.adversarial_weight * adversarial
        self.generator_optimizer.zero_grad()
        self.backward(loss)
        self.generator_optimizer.step()
        if self.discriminator is not None:
            self.discriminator.requires_grad_(True)
        return StepLosses(
            reconstruction.detach(), adversarial.detach(), discriminator_loss
        )

    def _update_discriminator(
        self,
        discriminator: Module,
        fake: Tensor,
        videos: Tensor,
        idx_mask: Tensor,
        generator: Generator | None,
    ) -> Tensor:
        assert self.discriminator_optimizer is not None
        config = self.model.config
        real = gather_tubelets(
            videos,
            idx_mask,
            tubelet_size=config.tubelet_size,
            patch_size=config.patch_size,
            dtype=fake.dtype,
        )
        loss = self.adversarial_loss.discriminator_loss(
            discriminator(real), discriminator(fake)
        )
        total = loss
        if self.gradient_penalty_weight > 0:
            penalty = self.adversarial_loss.gradient_penalty(
                discriminator, real, fake, generator=generator
            )
            total = total + self.gradient_penalty_weight * penalty
        self.discriminator_optimizer.zero_grad()
        self.backward(total)
        self.discriminator_optimizer.step()
        return loss.detach()
