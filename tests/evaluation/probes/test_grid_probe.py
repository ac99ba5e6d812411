"""Grid probe: sees where something is, which the mean of the tokens forgets."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from lightly_marlin.evaluation.metrics.metrics import primary_metric
from lightly_marlin.evaluation.probes.exact_probe import exact_probe, fit_exact
from lightly_marlin.evaluation.probes.grid_probe import grid_probe, mean_over_time
from lightly_marlin.evaluation.probes.probe_rows import ProbeRows
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def make_tokens(make_problem):
    """A problem whose tokens are 2 tubelets of a frame of the other tokens."""

    def make(*arguments, tokens=8, **options):
        problem = make_problem(*arguments, tokens=tokens, **options)
        features = replace(problem.features, model={"name": "m", "grid": [2, 2, 2]})
        return problem._replace(features=features)

    return make


def test_mean_over_time__known_values():
    tokens = torch.arange(12.0).reshape(1, 6, 2)
    # Tubelets of 3 tokens: (0, 1), (2, 3), (4, 5), and 6 more.
    assert mean_over_time(tokens, 2).tolist() == [[3, 4, 5, 6, 7, 8]]
    assert torch.equal(mean_over_time(tokens, 1), tokens.flatten(1))


def test_mean_over_time__half_precision_in_parts():
    tokens = torch.randn(150, 4, 3).half()
    means = mean_over_time(tokens, 4)
    assert means.dtype == torch.float32
    torch.testing.assert_close(means, tokens.float().mean(dim=1))


def test_mean_over_time__not_divisible():
    with pytest.raises(ValueError, match=r"Invalid tubelets \(4\). It must divide 6"):
        mean_over_time(torch.zeros(1, 6, 2), 4)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass", "regression"])
def test_grid_probe__learns(make_tokens, kind):
    problem = make_tokens(kind)
    options = {"folds": [problem.fold], "draws": 20, "components": 8}
    result = grid_probe(problem.features, problem.table, **options)
    name = primary_metric(problem.table.target)
    if kind == "regression":
        assert result.metrics[name] < 0.7 * result.constant[name]
    else:
        assert result.metrics[name] > result.constant[name] + 0.25
    assert result.protocol["name"] == "grid"
    assert result.protocol["tokens"] == [8, 8]
    assert result.protocol["components"] == 8


def test_grid_probe__sees_where(make_tokens):
    problem = make_tokens(count=120)
    labels = problem.table.labels[problem.features.item_of_row, 0]
    features = 0.1 * torch.randn(
        problem.features.features.shape, generator=torch.Generator().manual_seed(0)
    )
    # The same content, in the first place or in the second.
    place = labels.long()
    rows = torch.arange(len(features))
    features[rows, place] += 1.0
    features[rows, place + 4] += 1.0
    tokens = replace(problem.features, features=features)
    options = {"folds": [problem.fold], "draws": 20}
    grid = grid_probe(tokens, problem.table, **options)
    means = replace(tokens, features=features.mean(dim=1))
    mean = exact_probe(means, problem.table, **options)
    assert grid.metrics["auc/flat"] > 0.99
    assert mean.metrics["auc/flat"] < 0.7


def test_grid_probe__equals_scikit_learn(make_tokens):
    problem = make_tokens(count=60)
    fold, components = problem.fold, 5
    result = grid_probe(
        problem.features,
        problem.table,
        folds=[fold],
        draws=2,
        components=components,
    )
    grids = problem.features.features.unflatten(1, (2, 4)).mean(1).flatten(1)
    means = replace(problem.features, features=grids)
    parts = [
        ProbeRows.of(means, problem.table, items)
        for items in (fold.train, fold.val, fold.test)
    ]
    x = [part.features.double().numpy() for part in parts]
    mean, std = x[0].mean(0), x[0].std(0)
    x = [(values - mean) / std for values in x]
    pca = PCA(components, svd_solver="full").fit(x[0])
    train, val, test = (
        replace(part, features=torch.from_numpy(pca.transform(values)).float())
        for part, values in zip(parts, x, strict=True)
    )
    fitted = fit_exact(train, val, problem.table.target)
    scores = fitted.predict(test.features).unflatten(0, (-1, 2)).mean(1)
    np.testing.assert_allclose(
        result.predictions.scores.numpy(), scores.numpy(), atol=1e-3
    )


def test_grid_probe__more_components_than_rows(make_tokens):
    problem = make_tokens(count=40)
    result = grid_probe(problem.features, problem.table, folds=[problem.fold], draws=2)
    assert result.protocol["components"] == 100


def test_grid_probe__errors(make_problem, make_tokens):
    problem = make_problem(count=12)
    with pytest.raises(UsageError, match=r"grid probe takes tokens.*\(24, 8\)"):
        grid_probe(problem.features, problem.table)
    tokens = make_tokens(count=12)
    with pytest.raises(ValueError, match=r"Invalid components \(0\)"):
        grid_probe(tokens.features, tokens.table, components=0)
