"""kNN probe: Lightly's order of classes, the same weights for every kind of label."""

import pytest
import torch
import torch.nn.functional as F
from lightly.utils.benchmarking import knn_predict

from lightly_marlin.evaluation import Target
from lightly_marlin.evaluation.metrics.metrics import primary_metric
from lightly_marlin.evaluation.probes.knn_probe import fit_knn, knn_probe, knn_scores
from lightly_marlin.evaluation.probes.probe_rows import ProbeRows
from lightly_marlin.utils.errors import UsageError


@pytest.mark.parametrize("seed", range(5))
def test_knn_scores__order_of_classes_is_lightlys(seed):
    generator = torch.Generator().manual_seed(seed)
    bank = F.normalize(torch.randn(50, 6, generator=generator), dim=1)
    rows = F.normalize(torch.randn(300, 6, generator=generator), dim=1)
    classes = torch.randint(4, (50,), generator=generator)
    scores = knn_scores(rows, bank, F.one_hot(classes, 4).float(), 11, 0.07)
    expected = knn_predict(rows, bank.T, classes, 4, knn_k=11, knn_t=0.07)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(300))
    # Classes without a neighbour tie at 0; their order is arbitrary.
    wanted = scores.gather(1, expected)
    torch.testing.assert_close(wanted, scores.sort(dim=1, descending=True).values)


def test_knn_scores__weighted_mean_by_hand():
    bank = torch.tensor([[1.0, 0], [0.6, 0.8], [0, 1]])
    truth = torch.tensor([[2.0, 1], [10, torch.nan], [100, 0]])
    scores = knn_scores(torch.tensor([[1.0, 0]]), bank, truth, 2, 0.5)
    weights = torch.tensor([1 / 0.5, 0.6 / 0.5]).exp()
    mean = float((weights[0] * 2 + weights[1] * 10) / weights.sum())
    # The second label has one neighbour that knows it.
    torch.testing.assert_close(scores, torch.tensor([[mean, 1.0]]))


def test_knn_scores__small_temperature_does_not_overflow():
    bank = F.normalize(
        torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), dim=1
    )
    truth = torch.arange(9.0)[:, None]
    scores = knn_scores(bank, bank, truth, 9, 1e-4)
    torch.testing.assert_close(scores, truth, atol=1e-3, rtol=0)


def test_knn_scores__no_rows():
    bank, truth = torch.ones(3, 2), torch.ones(3, 4)
    assert knn_scores(torch.zeros(0, 2), bank, truth, 1, 0.1).shape == (0, 4)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass", "regression"])
def test_knn_probe__learns(make_problem, kind):
    problem = make_problem(kind)
    result = knn_probe(problem.features, problem.table, folds=[problem.fold], draws=20)
    name = primary_metric(problem.table.target)
    if kind == "regression":
        assert result.metrics[name] < 0.8 * result.constant[name]
    else:
        assert result.metrics[name] > result.constant[name] + 0.2
    assert result.chosen == {"test": {"k": 24}}


@pytest.mark.parametrize(("count", "k"), [(3, 1), (5, 1), (50, 10), (2000, 200)])
def test_fit_knn__a_fifth_of_the_rows_at_most_200(count, k):
    labels = torch.arange(count).remainder(2).float()[:, None]
    rows = ProbeRows(torch.ones(count, 2), labels, torch.arange(count), labels)
    assert fit_knn(rows, Target("binary", ("a",))).chosen["k"] == k
    assert fit_knn(rows, Target("binary", ("a",)), k=4).chosen["k"] == min(4, count)


def test_fit_knn__constant_where_no_neighbour_knows():
    labels = torch.tensor([[1.0, 1.0], [0.0, torch.nan], [1.0, 0.0]])
    features = torch.tensor([[1.0, 0], [0, 1], [-1, 0]])
    rows = ProbeRows(features, labels, torch.arange(3), labels)
    fitted = fit_knn(rows, Target("multilabel", ("a", "b")), k=1)
    assert fitted.predict(torch.tensor([[0.0, 2.0]])).tolist() == [[0, 0.5]]


def test_knn_probe__refuses_tokens_and_settings(make_problem):
    problem = make_problem(count=30, tokens=2)
    with pytest.raises(UsageError, match="knn probe takes one vector"):
        knn_probe(problem.features, problem.table, folds=[problem.fold])
    for options in ({"k": 0}, {"temperature": 0.0}):
        with pytest.raises(ValueError, match="k has to be at least 1"):
            knn_probe(problem.features, problem.table, **options)
