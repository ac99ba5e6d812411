"""One training step of MARLIN: the discriminator's update, then the generator's.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627 (equations 3 to 7)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Module

from lightly_marlin.loss import MarlinReconstructionLoss
from lightly_marlin.models import Marlin
from lightly_marlin.training.objectives.critic import Critic, CriticOptimizer
from lightly_marlin.training.objectives.objective import Objective
from lightly_marlin.training.objectives.objective_step import ObjectiveStep
from lightly_marlin.training.objectives.pixels import Pixels
from lightly_marlin.transforms.clip_draws import Randomness

__all__ = ["PretrainStep", "StepLosses"]


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
    """The updates of one batch: the objectives pixels and critic, as released.

    `ObjectiveStep` takes any objectives.

    Args:
        model: Generator.
        discriminator: Critic of single tubelets, or None to train without one.
        generator_optimizer: Optimizer of `model`.
        discriminator_optimizer: Optimizer of `discriminator`, or None with it.
        reconstruction_loss: Loss of the masked tokens; by default as released.
        adversarial_weight:
            Weight of the adversarial loss of the generator; 0 trains without the
            discriminator.
        gradient_penalty_weight:
            Weight of the gradient penalty of the discriminator; 0 as released. Nothing
            else bounds the critic, so long trainings are safer with 10.
        backward: Called in place of `Tensor.backward`, for trainers that scale losses.
    """

    def __init__(
        self,
        model: Marlin,
        discriminator: Module | None,
        generator_optimizer: CriticOptimizer,
        discriminator_optimizer: CriticOptimizer | None,
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
        pixels = Pixels.of(model)
        if reconstruction_loss is not None:
            pixels = Pixels(reconstruction_loss)
        objectives: dict[str, tuple[Objective, float]] = {"pixels": (pixels, 1.0)}
        if discriminator is not None and discriminator_optimizer is not None:
            critic = Critic(
                discriminator,
                discriminator_optimizer,
                gradient_penalty_weight=gradient_penalty_weight,
                backward=backward,
            )
            objectives["adversarial"] = (critic, adversarial_weight)
        self.objective_step = ObjectiveStep(model, objectives)
        self.generator_optimizer = generator_optimizer
        self.backward = backward

    def __call__(
        self,
        videos: Tensor,
        idx_keep: Tensor,
        idx_mask: Tensor,
        generator: Randomness | None = None,
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
        losses = self.objective_step({"video": videos}, idx_keep, idx_mask, generator)
        self.generator_optimizer.zero_grad()
        self.backward(losses.total)
        self.generator_optimizer.step()
        reported = losses.reported
        zero = torch.zeros_like(losses.total)
        return StepLosses(
            reported["pixels"],
            reported.get("adversarial", zero),
            reported.get("discriminator", zero),
        )
