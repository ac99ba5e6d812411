"""Exact probe: logistic or ridge regression on standardized features, by scikit-learn.

There is no learning rate to get wrong: L-BFGS runs until it converges. One strength for
all labels, over decades, is chosen by the loss of validation items. Best for up to some
ten thousand rows; beyond that, `linear_probe` trains many heads in one pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.probes.probe_rows import (
    Fitted,
    ProbeRows,
    check_vectors,
    standardizer,
)
from lightly_marlin.evaluation.probes.protocol import run_protocol
from lightly_marlin.evaluation.results.result import Result
from lightly_marlin.utils.dependency import require

__all__ = ["STRENGTHS", "exact_probe", "fit_exact"]

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse strengths of the penalty: C of logistic, 1 / alpha of ridge regression."""

Array = npt.NDArray[np.float64]
_Column = Callable[[Array], Array]


def exact_probe(
    features: ItemFeatures,
    table: LabelTable,
    seed: int = 0,
    *,
    strengths: Sequence[float] = STRENGTHS,
    max_iter: int = 1000,
    **options: Any,
) -> Result:
    """Fits and tests a logistic regression per label, over classes, or a ridge.

    A label with one value in training is predicted as that value.

    Args:
        features: Features (rows, D) of the items of the table.
        table: Labels.
        seed: Seed of folds and intervals; the fit has no randomness.
        strengths: Inverse strengths of the penalty, to choose from.
        max_iter: Iterations of L-BFGS; fits that need more are counted in
            `Result.chosen` as "unconverged".
        **options: Options of `run_protocol`.

    Raises:
        UsageError: See `run_protocol`, and if the features are tokens.
    """

    def fit(train: ProbeRows, val: ProbeRows, target: Target, _: int) -> Fitted:
        return fit_exact(train, val, target, strengths=strengths, max_iter=max_iter)

    protocol = {
        "name": "exact",
        "strengths": list(strengths),
        "max_iter": max_iter,
        "standardized": True,
    }
    return run_protocol(fit, features, table, seed=seed, protocol=protocol, **options)


def fit_exact(
    train: ProbeRows,
    val: ProbeRows,
    target: Target,
    *,
    strengths: Sequence[float] = STRENGTHS,
    max_iter: int = 1000,
) -> Fitted:
    """Fits a probe for every strength and keeps the best on validation.

    Args:
        train: Training rows.
        val: Validation rows.
        target: Kind and names of the labels.
        strengths: See `exact_probe`.
        max_iter: See `exact_probe`.
    """
    check_vectors(train, "exact")
    standardize = standardizer(train.features)

    def array(rows: Tensor) -> Array:
        return standardize(rows).double().numpy()

    inputs, val_inputs = array(train.features), array(val.features)
    labels = train.labels.double().numpy()
    models = _models(target, max_iter)
    best: tuple[float, float, int, list[_Column]] | None = None
    losses = {}
    for strength in sorted(strengths):
        columns, unconverged = models(inputs, labels, strength)
        scores = _predict(columns, val_inputs)
        losses[f"{strength:g}"] = loss = val.item_loss(target, scores)
        if best is None or loss < best[0]:
            best = loss, strength, unconverged, columns
    if best is None:
        raise ValueError("strengths is empty. Give at least one.")
    chosen = {
        "strength": best[1],
        "by": "loss of validation items",
        "losses": losses,
        "unconverged": best[2],
    }
    return Fitted(lambda rows: _predict(best[3], array(rows)), chosen)


def _predict(columns: Sequence[_Column], inputs: Array) -> Tensor:
    """Returns scores float32 (rows, K)."""
    parts = [column(inputs).reshape(len(inputs), -1) for column in columns]
    return torch.from_numpy(np.concatenate(parts, axis=1)).float()


_Models = Callable[[Array, Array, float], tuple[list[_Column], int]]


def _models(target: Target, max_iter: int) -> _Models:
    """Returns a function that fits all labels for one strength.

    It takes inputs (rows, D), labels (rows, C) and the strength, and returns functions
    from inputs to columns of scores, and how many fits did not converge.
    """
    linear = require("sklearn.linear_model", "The exact probe")
    # Each fit starts from the solution of the last strength.
    solvers = [
        linear.LogisticRegression(max_iter=max_iter, warm_start=True)
        for _ in range(target.num_columns)
    ]

    def fit_column(
        index: int, inputs: Array, labels: Array, strength: float
    ) -> tuple[_Column, int]:
        known = ~np.isnan(labels[:, index])
        # Indexing copies, which large inputs can be spared.
        x = inputs if known.all() else inputs[known]
        y = labels[known, index]
        if target.kind == "regression":
            ridge = linear.Ridge(alpha=1 / strength).fit(x, y) if len(y) else None
            weight = ridge.coef_ if ridge else np.zeros(inputs.shape[1])
            bias = float(ridge.intercept_) if ridge else 0.0
            return lambda rows: rows @ weight + bias, 0
        values = np.unique(y)
        if len(values) < 2:
            # Without any label, both values are as likely.
            value = float(values[0]) if len(values) else 0.5
            return lambda rows: np.full(len(rows), value), 0
        unconverged = _fit_logistic(solvers[index], x, y, strength)
        size = target.num_outputs if target.kind == "multiclass" else None
        return _probabilities(solvers[index], size), unconverged

    def fit_all(
        inputs: Array, labels: Array, strength: float
    ) -> tuple[list[_Column], int]:
        fits = [
            fit_column(index, inputs, labels, strength)
            for index in range(target.num_columns)
        ]
        return [column for column, _ in fits], sum(count for _, count in fits)

    return fit_all


def _fit_logistic(solver: Any, x: Array, y: Array, strength: float) -> int:
    """Fits a logistic regression; returns 1 if it did not converge."""
    exceptions = require("sklearn.exceptions", "The exact probe")
    solver.C = strength
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        solver.fit(x, y)
    unconverged = 0
    for warning in caught:
        if issubclass(warning.category, exceptions.ConvergenceWarning):
            # Counted in the result instead of printed per label and strength.
            unconverged = 1
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return unconverged


def _probabilities(solver: Any, size: int | None) -> _Column:
    """Returns the function from inputs to probabilities of a solver as it is now.

    Args:
        solver: Logistic regression.
        size: Number of classes; classes without training items have probability 0.
            None for the positive value of a label.
    """
    weight, bias = solver.coef_.copy(), solver.intercept_.copy()
    classes = solver.classes_.astype(int)

    def predict(inputs: Array) -> Array:
        outputs = inputs @ weight.T + bias
        if size is None:
            return torch.from_numpy(outputs[:, 0]).sigmoid().numpy()
        if len(classes) == 2:
            # scikit-learn keeps one row of weights for two classes.
            outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
        scores = np.zeros((len(inputs), size))
        scores[:, classes] = torch.from_numpy(outputs).softmax(dim=1).numpy()
        return scores

    return predict
