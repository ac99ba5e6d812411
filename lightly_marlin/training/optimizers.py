"""AdamW of a pretraining, with weight decay on matrices alone.

- [0]: Decoupled Weight Decay Regularization, 2019, https://arxiv.org/abs/1711.05101
- [1]: VideoMAE, 2022, https://arxiv.org/abs/2203.12602 (no decay on biases, norms and
  tokens)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW, Optimizer

from lightly_marlin.training.settings import PretrainSettings

__all__ = ["UncountedOptimizer", "follow_settings", "is_matrix", "make_optimizer"]


def is_matrix(parameter: Tensor) -> bool:
    """Returns whether a parameter has more than one dimension longer than 1.

    Biases, scales and single tokens have not, and get no weight decay [1].
    """
    return sum(size > 1 for size in parameter.shape) > 1


def make_optimizer(
    parameters: Iterable[Parameter], factor: float, settings: PretrainSettings
) -> AdamW:
    """Makes the optimizer of a network; with weight decay, it has two groups.

    Args:
        parameters: Parameters, trainable or not.
        factor: Learning rate in multiples of the schedule's; a `LambdaLR` multiplies.
        settings: Settings of the run.
    """
    trained = list(parameters)
    groups: list[dict[str, Any]] = [{"params": trained}]
    if settings.weight_decay > 0:
        groups = [
            {"params": [p for p in trained if is_matrix(p)]},
            {"params": [p for p in trained if not is_matrix(p)], "weight_decay": 0.0},
        ]
    optimizer = AdamW(
        groups,
        lr=factor,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    for group in optimizer.param_groups:
        # As a number also where the rate is a tensor: a schedule reads it at each step.
        group["initial_lr"] = factor
    follow_settings(optimizer, settings)
    return optimizer


def follow_settings(optimizer: Optimizer, settings: PretrainSettings) -> None:
    """Sets the options of an optimizer, which a checkpoint brings with it, anew.

    In a CUDA graph, numbers are those of the capture for ever: the learning rate is a
    tensor there.

    Args:
        optimizer: Result of `make_optimizer`.
        settings: Settings of the run.
    """
    for group in optimizer.param_groups:
        group["betas"] = settings.beta1, settings.beta2
        if group["weight_decay"] > 0:
            group["weight_decay"] = settings.weight_decay
        group["capturable"] = settings.cuda_graph
        rate = float(group["lr"])
        group["lr"] = rate
        if settings.cuda_graph:
            device = group["params"][0].device
            group["lr"] = torch.tensor(rate, dtype=torch.float32, device=device)


class UncountedOptimizer:
    """Optimizer in Lightning that steps without counting.

    Lightning counts every step of every `LightningOptimizer`, so that `global_step`
    would advance by two per batch, and with it `max_steps`, `every_n_train_steps` and
    everything else that is given in steps; and a step that a CUDA graph replays would
    not be counted at all. The strategy's step is the same, precision plugin and
    `on_before_optimizer_step` included (which a replayed step does not call);
    `MarlinPretraining` counts batches.

    Args:
        trainer: The trainer.
        optimizer: Optimizer of torch.
        clip_gradient: Norm to which the gradients are scaled down; 0 for none.
    """

    def __init__(
        self, trainer: pl.Trainer, optimizer: Optimizer, clip_gradient: float = 0.0
    ) -> None:
        self.trainer = trainer
        self.optimizer = optimizer
        self.clip_gradient = clip_gradient

    def zero_grad(self) -> None:
        """Clears the gradients."""
        self.optimizer.zero_grad()

    def step(self) -> None:
        """Updates the weights, by clipped gradients where it is so wanted."""
        if self.clip_gradient > 0:
            groups = self.optimizer.param_groups
            parameters = [p for group in groups for p in group["params"]]
            clip_grad_norm_(parameters, self.clip_gradient)
        self.trainer.strategy.optimizer_step(self.optimizer, closure=lambda: None)
