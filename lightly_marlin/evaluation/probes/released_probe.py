"""Linear probe as MARLIN's authors released it [0], step by step.

Mean over windows, one Linear with bias as torch initializes it, features as they are.
Binary cross-entropy over the flattened batch; a last, smaller batch is left out. Adam
at 1e-4 with betas (0.5, 0.9); the rate is halved after more than 7 epochs without a
better training loss, down to 1e-8. Training ends when the rate reaches 1e-6, or after
2,000 epochs. The epoch with the best validation AUC is kept.

Departures: the AUC is that of the whole validation split, not a mean over batches,
which is no AUC. Clips that failed are left out of training instead of being zeros, and
tested with the constant prediction. Empty labels do not count. Splits are the table's:
the released ones divide videos.

- [0]: https://github.com/ControlNet/MARLIN, evaluate.py and model/classifier.py
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.metrics.label_metrics import flat_auc
from lightly_marlin.evaluation.probes.probe_rows import Fitted, ProbeRows, check_vectors
from lightly_marlin.evaluation.probes.protocol import run_protocol
from lightly_marlin.evaluation.results.result import Result
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "Epoch",
    "fit_released",
    "released_epochs",
    "released_probe",
    "seeded_linear",
]

_RATE = 1e-4
_BETAS = (0.5, 0.9)
_FACTOR = 0.5
_PATIENCE = 7
_LOWEST_RATE = 1e-8
_LAST_RATE = 1e-6


class Epoch(NamedTuple):
    """Epoch of training.

    Attributes:
        losses: float32 tensor (steps,): loss of each step.
        rate: Learning rate of the next epoch.
    """

    losses: Tensor
    rate: float


def released_probe(
    features: ItemFeatures,
    table: LabelTable,
    seed: int = 0,
    *,
    batch_size: int = 32,
    epochs: int = 2000,
    **options: Any,
) -> Result:
    """Trains and tests the released linear probe.

    Args:
        features: Features (rows, D) of the items of the table.
        table: Labels of kind binary or multilabel.
        seed: Seed of folds, initial weights, order of batches and intervals.
        batch_size: Items per step.
        epochs: Most epochs to train.
        **options: Options of `run_protocol`, except `pool`, which is "mean".

    Raises:
        UsageError: See `run_protocol`; if the labels are of another kind, the features
            are tokens, or the validation items have one label only.
    """
    if table.target.kind not in ("binary", "multilabel"):
        raise UsageError(
            f"The released protocol takes binary or multilabel labels; {table.name} is "
            f"{table.target.kind}. Use exact, linear, attentive, grid or knn."
        )
    if batch_size < 1 or epochs < 1:
        raise ValueError(
            f"Invalid batch_size ({batch_size}) or epochs ({epochs}). Both have to be "
            "at least 1."
        )

    def fit(train: ProbeRows, val: ProbeRows, target: Target, seed: int) -> Fitted:
        return fit_released(
            train, val, target, seed, batch_size=batch_size, epochs=epochs
        )

    protocol = {
        "name": "released",
        "batch_size": batch_size,
        "epochs": epochs,
        "rate": _RATE,
        "betas": list(_BETAS),
        "last_rate": _LAST_RATE,
        "standardized": False,
    }
    return run_protocol(
        fit, features, table, seed=seed, protocol=protocol, pool="mean", **options
    )


def fit_released(
    train: ProbeRows,
    val: ProbeRows,
    target: Target,
    seed: int,
    *,
    batch_size: int = 32,
    epochs: int = 2000,
) -> Fitted:
    """Trains the head and keeps the epoch with the best validation AUC.

    Args:
        train: Training rows, one per item.
        val: Validation rows, one per item.
        target: Kind and names of the labels.
        seed: Seed of initial weights and order of batches.
        batch_size: See `released_probe`.
        epochs: See `released_probe`.
    """
    check_vectors(train, "released")
    truth = target.truth(val.labels)
    known = truth[~truth.isnan()]
    if known.min() == known.max():
        raise UsageError(
            f"All labels of the validation items are {float(known[0]):g}: the best AUC "
            "cannot be chosen. Give items with another label the split val."
        )
    head = seeded_linear(train.features.shape[1], target.num_outputs, seed)
    inputs, val_inputs = train.features.float(), val.features.float()
    best, best_auc, best_epoch, ran = copy.deepcopy(head), -1.0, 0, 0
    rate = _RATE
    for ran, (_, rate) in enumerate(
        released_epochs(
            head, inputs, train.labels, target, seed, batch_size=batch_size
        ),
        start=1,
    ):
        with torch.no_grad():
            auc = flat_auc(target.scores(head(val_inputs)), truth)
        if auc > best_auc:
            best, best_auc, best_epoch = copy.deepcopy(head), auc, ran
        if ran == epochs or rate <= _LAST_RATE:
            break
    best.requires_grad_(False)
    chosen = {
        "epoch": best_epoch,
        "by": "auc/flat of validation items",
        "val_auc": best_auc,
        "epochs": ran,
        "rate": rate,
    }
    return Fitted(lambda rows: target.scores(best(rows.float())), chosen)


def seeded_linear(width: int, outputs: int, seed: int) -> nn.Linear:
    """Returns a Linear with torch's initial weights, from a seed of its own.

    Args:
        width: Number of inputs.
        outputs: Number of outputs.
        seed: Seed; torch's global generator stays as it is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(width, outputs)


def released_epochs(
    head: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    target: Target,
    seed: int,
    *,
    batch_size: int,
) -> Iterator[Epoch]:
    """Trains a head without end, and yields after every epoch.

    Args:
        head: Module from (n, D) to (n, K); trained in place.
        inputs: float32 tensor (n, D).
        labels: float32 tensor (n, K): 0 or 1; NaN where empty.
        target: Kind and names of the labels.
        seed: Seed of the order of batches.
        batch_size: Items per step; all of them if there are fewer.
    """
    optimizer = Adam(head.parameters(), lr=_RATE, betas=_BETAS)
    plateau = ReduceLROnPlateau(
        optimizer, factor=_FACTOR, patience=_PATIENCE, min_lr=_LOWEST_RATE
    )
    generator = torch.Generator().manual_seed(seed)
    size = min(batch_size, len(inputs))
    steps = len(inputs) // size
    while True:
        order = torch.randperm(len(inputs), generator=generator)
        losses = torch.zeros(steps)
        for step, rows in enumerate(torch.split(order[: steps * size], size)):
            optimizer.zero_grad()
            loss = target.loss(head(inputs[rows]), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses[step] = loss.detach()
        plateau.step(float(losses.mean()))
        yield Epoch(losses, float(optimizer.param_groups[0]["lr"]))
