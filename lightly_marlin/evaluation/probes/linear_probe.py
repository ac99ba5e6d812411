"""Linear probe: a grid of heads trained in one pass over standardized features.

Which learning rate and weight decay suit features is unknown beforehand. All heads see
the same batches, so their outputs are one matrix product [0]; each has its own AdamW
settings. The head with the least loss on validation items is kept.

- [0]: https://github.com/facebookresearch/vjepa2, configs/eval: many heads at once
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.probes.head_start import HeadStart
from lightly_marlin.evaluation.probes.probe_rows import (
    Fitted,
    ProbeRows,
    check_vectors,
    standardizer,
)
from lightly_marlin.evaluation.probes.protocol import run_protocol
from lightly_marlin.evaluation.results.result import Result

__all__ = ["DECAYS", "RATES", "HeadGrid", "fit_linear", "linear_probe"]

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Peak learning rates of the heads."""

DECAYS = (0.0, 0.01, 0.1)
"""Weight decays of the heads."""

EPOCHS = 100
MIN_STEPS = 1000
MAX_STEPS = 5000
BATCH_SIZE = 256
_CHUNK_ROWS = 4096


def linear_probe(
    features: ItemFeatures,
    table: LabelTable,
    seed: int = 0,
    *,
    rates: Sequence[float] = RATES,
    decays: Sequence[float] = DECAYS,
    epochs: int = EPOCHS,
    min_steps: int = MIN_STEPS,
    max_steps: int = MAX_STEPS,
    batch_size: int = BATCH_SIZE,
    **options: Any,
) -> Result:
    """Trains a grid of linear heads and tests the one that validation prefers.

    Every head starts at the constant predictor. AdamW, cosine to 0.

    Args:
        features: Features (rows, D) of the items of the table.
        table: Labels.
        seed: Seed of folds, order of batches and intervals.
        rates: Peak learning rates.
        decays: Weight decays; each is tried with each rate.
        epochs: Epochs to train.
        min_steps: Least number of steps: small sets are trained for more epochs, or
            the heads would not get away from the constant.
        max_steps: Most steps: large sets are trained for fewer epochs, at least one.
            `Result.chosen` has the epochs.
        batch_size: Rows per step.
        **options: Options of `run_protocol`.

    Raises:
        UsageError: See `run_protocol`, and if the features are tokens.
        ValueError: If a number is out of range, or there are no rates or decays.
    """
    if min(epochs, max_steps, batch_size) < 1 or not rates or not decays:
        raise ValueError(
            f"Invalid epochs ({epochs}), max_steps ({max_steps}), batch_size "
            f"({batch_size}), rates ({rates}) or decays ({decays}). Numbers have to be "
            "at least 1, and rates and decays not empty."
        )

    def fit(train: ProbeRows, val: ProbeRows, target: Target, seed: int) -> Fitted:
        return fit_linear(
            train,
            val,
            target,
            seed,
            rates=rates,
            decays=decays,
            epochs=epochs,
            min_steps=min_steps,
            max_steps=max_steps,
            batch_size=batch_size,
        )

    protocol = {
        "name": "linear",
        "rates": list(rates),
        "decays": list(decays),
        "epochs": epochs,
        "min_steps": min_steps,
        "max_steps": max_steps,
        "batch_size": batch_size,
        "standardized": True,
    }
    return run_protocol(fit, features, table, seed=seed, protocol=protocol, **options)


def fit_linear(
    train: ProbeRows,
    val: ProbeRows,
    target: Target,
    seed: int,
    *,
    rates: Sequence[float] = RATES,
    decays: Sequence[float] = DECAYS,
    epochs: int = EPOCHS,
    min_steps: int = MIN_STEPS,
    max_steps: int = MAX_STEPS,
    batch_size: int = BATCH_SIZE,
) -> Fitted:
    """Trains the grid and keeps the best head on validation.

    Args:
        train: Training rows.
        val: Validation rows.
        target: Kind and names of the labels.
        seed: Seed of the order of batches.
        rates: See `linear_probe`.
        decays: See `linear_probe`.
        epochs: See `linear_probe`.
        min_steps: See `linear_probe`.
        max_steps: See `linear_probe`.
        batch_size: See `linear_probe`.
    """
    check_vectors(train, "linear")
    standardize = standardizer(train.features)
    inputs = standardize(train.features)
    start = HeadStart.of(target, train.labels)
    settings = list(itertools.product(rates, decays))
    steps_per_epoch = math.ceil(len(inputs) / batch_size)
    epochs = max(epochs, math.ceil(min_steps / steps_per_epoch))
    epochs = max(1, min(epochs, max_steps // steps_per_epoch))
    grid = HeadGrid(start, inputs.shape[1], settings, epochs * steps_per_epoch)
    labels = start.scale(train.labels)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(inputs), generator=generator)
        for rows in torch.split(order, batch_size):
            grid.step(inputs[rows], labels[rows])
    losses = [
        val.item_loss(target, scores)
        for scores in grid.scores(standardize(val.features))
    ]
    best = losses.index(min(losses))
    chosen = {
        "rate": settings[best][0],
        "decay": settings[best][1],
        "by": "loss of validation items",
        "losses": {
            f"rate {rate:g}, decay {decay:g}": loss
            for (rate, decay), loss in zip(settings, losses, strict=True)
        },
        "epochs": epochs,
        "steps": epochs * steps_per_epoch,
    }
    weight, bias = grid.weight[best].clone(), grid.bias[best].clone()
    return Fitted(
        lambda rows: start.scores(F.linear(standardize(rows), weight, bias)), chosen
    )


class HeadGrid:
    """Linear heads on the same features, each with its own rate and decay.

    Attributes:
        weight: float32 tensor (H, K, D).
        bias: float32 tensor (H, K).
    """

    def __init__(
        self,
        start: HeadStart,
        width: int,
        settings: Sequence[tuple[float, float]],
        steps: int,
    ) -> None:
        """Makes heads that predict the constant.

        Args:
            start: Bias of the heads and kind of labels.
            width: Number of features D.
            settings: Peak learning rate and weight decay of each head.
            steps: Number of steps after which the rates are 0.
        """
        self._start = start
        self.bias = start.bias.repeat(len(settings), 1)
        self.weight = torch.zeros(*self.bias.shape, width)
        self._gradients = torch.zeros_like(self.weight), torch.zeros_like(self.bias)
        groups = []
        for head, (rate, decay) in enumerate(settings):
            for stack, gradient, share in zip(
                (self.weight, self.bias), self._gradients, (decay, 0.0), strict=True
            ):
                # Shares memory with the stack, so that AdamW updates a part of it.
                part = nn.Parameter(stack[head])
                part.grad = gradient[head]
                groups.append({"params": [part], "lr": rate, "weight_decay": share})
        self._optimizer = AdamW(groups, fused=True)
        self._schedule = LambdaLR(
            self._optimizer, lambda step: (1 + math.cos(math.pi * step / steps)) / 2
        )

    def step(self, inputs: Tensor, labels: Tensor) -> None:
        """Trains every head on a batch, by the mean loss of each.

        Args:
            inputs: float32 tensor (rows, D).
            labels: float32 tensor (rows, C), see `HeadStart.scale`; NaN where empty.
        """
        # In closed form: autograd would take longer than the products.
        gradient = self._output_gradient(self.outputs(inputs), labels).flatten(1)
        weight, bias = self._gradients
        torch.mm(gradient.T, inputs, out=weight.view(-1, weight.shape[2]))
        torch.sum(gradient, dim=0, out=bias.view(-1))
        self._optimizer.step()
        self._schedule.step()

    def outputs(self, inputs: Tensor) -> Tensor:
        """Returns the outputs of all heads, float32 (rows, H, K).

        Args:
            inputs: float32 tensor (rows, D).
        """
        outputs = F.linear(inputs, self.weight.flatten(0, 1), self.bias.flatten())
        return outputs.view(len(inputs), *self.bias.shape)

    def scores(self, inputs: Tensor) -> list[Tensor]:
        """Returns the scores of each head, float32 (rows, K).

        Args:
            inputs: float32 tensor (rows, D).
        """
        parts = [self.outputs(part) for part in torch.split(inputs, _CHUNK_ROWS)]
        return [self._start.scores(outputs) for outputs in torch.cat(parts).unbind(1)]

    def _output_gradient(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Returns the gradient of `Target.loss` of each head with respect to outputs.

        Args:
            outputs: float32 tensor (rows, H, K).
            labels: float32 tensor (rows, C); NaN where empty.
        """
        target = self._start.target
        known = ~labels.isnan()
        truth = target.truth(labels)[:, None]
        if target.kind == "multiclass":
            gradient = outputs.softmax(dim=2) - truth
        elif target.kind == "regression":
            gradient = (outputs - truth).sign()
        else:
            gradient = outputs.sigmoid() - truth
        count = int(known.sum())
        if count < known.numel():
            gradient = torch.where(known[:, None], gradient, 0)
        return gradient / max(1, count)
