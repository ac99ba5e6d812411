"""Adversarial loss of the predicted tubelets, with the critic's own update.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627 (equations 3 to 7)

The released code runs the generator forward and backward twice in a step, because its
discriminator step does not detach the prediction. The generator's weights do not change
in between and nothing in it is random, so one forward gives the same updates: detached
for the discriminator, then with its graph for the generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor
from torch.nn import Module

from lightly_marlin.kernels import gather_tubelets
from lightly_marlin.loss import MarlinAdversarialLoss
from lightly_marlin.models.grouped_casts import grouped_casts
from lightly_marlin.training.objectives.objective import Objective
from lightly_marlin.training.objectives.step_context import StepContext
from lightly_marlin.transforms.token_selection import draw_uniform

__all__ = ["Critic", "CriticOptimizer"]


class CriticOptimizer(Protocol):
    """An optimizer of torch, or one that a trainer has wrapped."""

    def zero_grad(self) -> None:
        """Clears the gradients."""

    def step(self) -> object:
        """Updates the weights."""


class Critic(Objective):
    """Score of the predicted pixels by a critic, which is updated before it scores.

    Args:
        discriminator: Critic of single tubelets (B, n, P).
        optimizer: Its optimizer.
        gradient_penalty_weight: Weight of its gradient penalty; 0 for none.
        backward: Called in place of `Tensor.backward`, for trainers that scale losses.
            With several processes it has to average the gradients as well, as
            Lightning's `manual_backward` does.
    """

    def __init__(
        self,
        discriminator: Module,
        optimizer: CriticOptimizer,
        *,
        gradient_penalty_weight: float = 0.0,
        backward: Callable[[Tensor], None] = Tensor.backward,
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.optimizer = optimizer
        self.loss = MarlinAdversarialLoss()
        self.gradient_penalty_weight = gradient_penalty_weight
        self.backward = backward

    def prepare(self, context: StepContext) -> dict[str, Tensor]:
        """Updates the critic.

        Args:
            context: The batch.

        Returns:
            "discriminator": mean(fake) - mean(real) before the update, without the
            gradient penalty.
        """
        fake = context.pixels.detach()
        config = context.model.config
        real = gather_tubelets(
            context.videos,
            context.idx_mask,
            tubelet_size=config.tubelet_size,
            patch_size=config.patch_size,
            dtype=fake.dtype,
        )
        with grouped_casts(self.discriminator):
            loss = self.loss.discriminator_loss(
                self.discriminator(real), self.discriminator(fake)
            )
        total = loss
        if self.gradient_penalty_weight > 0:
            # By the weights themselves: it computes in float32.
            shape = (*real.shape[:-1], 1)
            share = draw_uniform(shape, real.device, context.generator)
            penalty = self.loss.gradient_penalty(
                self.discriminator, real, fake, share=share
            )
            total = total + self.gradient_penalty_weight * penalty
        self.optimizer.zero_grad()
        self.backward(total)
        self.optimizer.step()
        return {"discriminator": loss.detach()}

    def forward(self, context: StepContext) -> Tensor:
        """Returns -mean score of the predicted tubelets by the updated critic.

        Args:
            context: The batch.
        """
        # Its weights take no part in the generator's step: no gradients for them. Nor
        # may autocast reuse copies that it made before they were updated, as it does
        # for weights with gradients.
        self.discriminator.requires_grad_(False)
        try:
            with grouped_casts(self.discriminator):
                return self.loss.generator_loss(self.discriminator(context.pixels))
        finally:
            self.discriminator.requires_grad_(True)
