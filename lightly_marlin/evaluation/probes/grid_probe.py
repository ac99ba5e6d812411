"""Grid probe: the exact probe on tokens by their place in the frame.

The mean of all tokens forgets where in the face something was. Here they are averaged
over time alone; the grid of a frame, thousands of numbers, is reduced to its principal
components, and those go to a logistic or ridge regression.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.probes.exact_probe import fit_exact
from lightly_marlin.evaluation.probes.probe_rows import (
    Fitted,
    ProbeRows,
    check_tokens,
    standardizer,
)
from lightly_marlin.evaluation.probes.protocol import run_protocol
from lightly_marlin.evaluation.results.result import Result
from lightly_marlin.utils.dependency import require

__all__ = ["grid_probe", "mean_over_time"]

_CHUNK_ROWS = 64


def grid_probe(
    features: ItemFeatures,
    table: LabelTable,
    seed: int = 0,
    *,
    components: int = 100,
    **options: Any,
) -> Result:
    """Fits and tests the exact probe on principal components of the grid of tokens.

    Mean, deviation and components are those of the training rows of each fold.

    Args:
        features: Tokens (rows, N, D) of the items of the table, by time, row, column;
            `features.model["grid"]` says how many there are along time.
        table: Labels.
        seed: Seed of folds, intervals and the search for components.
        components: Principal components, at most; fewer where there are fewer training
            rows.
        **options: Options of `run_protocol`.

    Raises:
        UsageError: See `run_protocol`, and if the features are not tokens.
        ValueError: If components is below 1.
    """
    if components < 1:
        raise ValueError(f"Invalid components ({components}). It must be at least 1.")
    check_tokens(features.features, "grid")
    tubelets = features.model["grid"][0]
    grids = dataclasses.replace(
        features, features=mean_over_time(features.features, tubelets)
    )

    def fit(train: ProbeRows, val: ProbeRows, target: Target, seed: int) -> Fitted:
        project = _projection(train.features, components, seed)
        fitted = fit_exact(_projected(train, project), _projected(val, project), target)
        return Fitted(lambda rows: fitted.predict(project(rows)), fitted.chosen)

    protocol = {
        "name": "grid",
        "tokens": list(features.features.shape[1:]),
        "components": components,
        "standardized": True,
    }
    return run_protocol(fit, grids, table, seed=seed, protocol=protocol, **options)


def mean_over_time(tokens: Tensor, tubelets: int) -> Tensor:
    """Averages tokens over time and puts those of a frame side by side.

    Args:
        tokens: Floating-point tensor (rows, N, D), by time, row, column.
        tubelets: Tokens along time, a divisor of N.

    Returns:
        float32 tensor (rows, N / tubelets * D).

    Raises:
        ValueError: If `tubelets` does not divide N.
    """
    rows, count, width = tokens.shape
    if count % tubelets:
        raise ValueError(f"Invalid tubelets ({tubelets}). It must divide {count}.")
    out = torch.empty(rows, count // tubelets * width)
    # In float32 a part at a time: tokens are kept in half precision to fit.
    for part, chunk in zip(
        torch.split(out, _CHUNK_ROWS), torch.split(tokens, _CHUNK_ROWS), strict=True
    ):
        frames = chunk.float().reshape(len(chunk), tubelets, -1)
        part.copy_(frames.mean(dim=1))
    return out


def _projection(
    features: Tensor, components: int, seed: int
) -> Callable[[Tensor], Tensor]:
    """Returns the projection (rows, D) to (rows, k) on components of training rows."""
    decomposition = require("sklearn.decomposition", "The grid probe")
    standardize = standardizer(features)
    most = min(components, *features.shape)
    solver = decomposition.PCA(most, random_state=seed)
    solver.fit(standardize(features).numpy())
    mean = torch.from_numpy(solver.mean_)
    axes = torch.from_numpy(solver.components_.T.copy())
    return lambda rows: (standardize(rows) - mean) @ axes


def _projected(rows: ProbeRows, project: Callable[[Tensor], Tensor]) -> ProbeRows:
    return dataclasses.replace(rows, features=project(rows.features))
