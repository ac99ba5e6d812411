"""Attentive probe: a learned query pools frozen tokens, then a linear layer.

Mean pooling undersells masked autoencoders, whose tokens are local. timm's
`AttentionPoolLatent` is one block of cross-attention with a residual MLP, as V-JEPA
probes with [0]; its query starts from a normal distribution of deviation D^-0.5 instead
of 0.02. Tokens are standardized by a LayerNorm without parameters. AdamW, cosine to 0;
the epoch with the least loss on validation items is kept.

- [0]: https://github.com/facebookresearch/jepa, src/models/attentive_pooler.py
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from timm.layers import AttentionPoolLatent
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.probes.head_start import HeadStart
from lightly_marlin.evaluation.probes.probe_rows import Fitted, ProbeRows, check_tokens
from lightly_marlin.evaluation.probes.protocol import run_protocol
from lightly_marlin.evaluation.results.result import Result

__all__ = ["AttentiveHead", "attentive_probe", "fit_attentive"]

_HEAD_WIDTH = 64
_CHUNK_ROWS = 256


class AttentiveHead(nn.Module):
    """LayerNorm, attention pooling and a linear layer."""

    def __init__(self, width: int, outputs: int) -> None:
        """Makes the head with torch's global generator.

        Args:
            width: Size D of the tokens.
            outputs: Number of outputs K.
        """
        super().__init__()
        # As many heads of about 64 as divide the width.
        wanted = max(1, width // _HEAD_WIDTH)
        heads = max(count for count in range(1, wanted + 1) if width % count == 0)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.pool = AttentionPoolLatent(
            width, num_heads=heads, mlp_ratio=4.0, norm_layer=nn.LayerNorm
        )
        self.linear = nn.Linear(width, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns outputs, float32 (rows, K).

        Args:
            tokens: Floating-point tensor (rows, N, D).
        """
        outputs: Tensor = self.linear(self.pool(self.norm(tokens.float())))
        return outputs


def attentive_probe(
    features: ItemFeatures,
    table: LabelTable,
    seed: int = 0,
    *,
    rate: float = 1e-3,
    decay: float = 0.01,
    epochs: int = 20,
    batch_size: int = 16,
    **options: Any,
) -> Result:
    """Trains and tests an attentive head on tokens.

    Args:
        features: Features (rows, N, D) of the items of the table.
        table: Labels.
        seed: Seed of folds, initial weights, order of batches and intervals.
        rate: Peak learning rate.
        decay: Weight decay of matrices.
        epochs: Epochs to train, at least 1.
        batch_size: Rows per step, at least 1; small, for few rows to give enough steps.
        **options: Options of `run_protocol`.

    Raises:
        UsageError: See `run_protocol`, and if the features have no tokens.
        ValueError: If a number is out of range.
    """
    if min(epochs, batch_size) < 1:
        raise ValueError(
            f"Invalid epochs ({epochs}) or batch_size ({batch_size}). Both have to be "
            "at least 1."
        )

    def fit(train: ProbeRows, val: ProbeRows, target: Target, seed: int) -> Fitted:
        return fit_attentive(
            train,
            val,
            target,
            seed,
            rate=rate,
            decay=decay,
            epochs=epochs,
            batch_size=batch_size,
        )

    protocol = {
        "name": "attentive",
        "rate": rate,
        "decay": decay,
        "epochs": epochs,
        "batch_size": batch_size,
        "tokens": list(features.features.shape[1:]),
    }
    return run_protocol(fit, features, table, seed=seed, protocol=protocol, **options)


def fit_attentive(
    train: ProbeRows,
    val: ProbeRows,
    target: Target,
    seed: int,
    *,
    rate: float = 1e-3,
    decay: float = 0.01,
    epochs: int = 20,
    batch_size: int = 16,
) -> Fitted:
    """Trains the head and keeps the best epoch on validation.

    Args:
        train: Training rows.
        val: Validation rows.
        target: Kind and names of the labels.
        seed: Seed of initial weights and order of batches.
        rate: See `attentive_probe`.
        decay: See `attentive_probe`.
        epochs: See `attentive_probe`.
        batch_size: See `attentive_probe`.
    """
    check_tokens(train.features, "attentive")
    start = HeadStart.of(target, train.labels)
    # torch's global generator stays as it is.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = AttentiveHead(train.features.shape[2], target.num_outputs)
    nn.init.zeros_(head.linear.bias).data.add_(start.bias)
    groups = param_groups_weight_decay(
        head, decay, no_weight_decay_list=["pool.latent"]
    )
    optimizer = AdamW(groups, lr=rate)
    steps = epochs * math.ceil(len(train) / batch_size)
    schedule = LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / steps)) / 2
    )
    generator = torch.Generator().manual_seed(seed)
    labels = start.scale(train.labels)
    losses: list[float] = []
    best = head
    for _ in range(epochs):
        order = torch.randperm(len(train), generator=generator)
        for rows in torch.split(order, batch_size):
            optimizer.zero_grad()
            loss = target.loss(head(train.features[rows]), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        val_loss = val.item_loss(target, _scores(head, start, val.features))
        if val_loss < min(losses, default=math.inf):
            best = copy.deepcopy(head)
        losses.append(val_loss)
    chosen = {
        "epoch": losses.index(min(losses)) + 1,
        "by": "loss of validation items",
        "losses": losses,
    }
    return Fitted(lambda rows: _scores(best, start, rows), chosen)


@torch.no_grad()
def _scores(head: AttentiveHead, start: HeadStart, tokens: Tensor) -> Tensor:
    parts = [start.scores(head(part)) for part in torch.split(tokens, _CHUNK_ROWS)]
    return torch.cat(parts)
