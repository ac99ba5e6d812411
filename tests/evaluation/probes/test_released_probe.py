"""The released probe against a naive transcription of its training."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torchmetrics.functional.classification import binary_auroc

from lightly_marlin.evaluation import Target
from lightly_marlin.evaluation.probes.probe_rows import ProbeRows
from lightly_marlin.evaluation.probes.released_probe import (
    fit_released,
    released_epochs,
    released_probe,
    seeded_linear,
)
from lightly_marlin.utils.errors import UsageError

TARGET = Target("multilabel", ("a", "b", "c"))


def make_rows(count, seed=0, columns=3):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, 8, generator=generator)
    noise = torch.randn(count, columns, generator=generator)
    labels = (features[:, :columns] + noise > 0.5).float()
    return ProbeRows(features, labels, torch.arange(count), labels)


def transcription(train, val, seed, batch_size, epochs):
    """Section 1 of the protocol, written down as the reference does it.

    Yields losses of the epoch, validation AUC over all cells, and the rate afterwards.
    """
    torch.manual_seed(seed)
    head = nn.Linear(8, train.labels.shape[1])
    loss_function = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-4, betas=(0.5, 0.9))
    rate, best, waited = 1e-4, float("inf"), 0
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(train.features), generator=generator)
        losses = []
        for start in range(0, len(order) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            output = head(train.features[rows]).flatten()
            loss = loss_function(output, train.labels[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        probabilities = head(val.features).sigmoid().flatten()
        auc = float(binary_auroc(probabilities, val.labels.flatten().long()))
        # The plateau by hand: better by one in ten thousand, or wait.
        mean = sum(losses) / len(losses)
        if mean < best * (1 - 1e-4):
            best, waited = mean, 0
        else:
            waited += 1
        if waited > 7:
            rate, waited = max(1e-8, rate / 2), 0
            optimizer.param_groups[0]["lr"] = rate
        yield losses, auc, rate
        if rate <= 1e-6:
            return


@pytest.mark.parametrize("seed", [0, 3])
def test_released_epochs__equal_the_transcription_step_for_step(seed):
    train, val = make_rows(75, seed), make_rows(30, seed + 50)
    head = seeded_linear(8, 3, seed)
    ours = released_epochs(
        head, train.features, train.labels, TARGET, seed, batch_size=32
    )
    rates = []
    expected = transcription(train, val, seed, 32, 2000)
    for (losses, _, rate), epoch in zip(expected, ours, strict=False):
        assert len(epoch.losses) == 2
        assert epoch.losses.tolist() == pytest.approx(losses, abs=1e-6)
        assert epoch.rate == pytest.approx(rate, rel=1e-9)
        rates.append(rate)
    # It ran until the seventh halving, through every branch of the plateau.
    assert len(set(rates)) == 8
    assert rates[-1] == pytest.approx(1e-4 / 2**7)


def test_fit_released__keeps_the_best_epoch_of_the_transcription():
    train, val = make_rows(75, 1), make_rows(30, 51)
    fitted = fit_released(train, val, TARGET, 1)
    expected = list(transcription(train, val, 1, 32, 2000))
    areas, rate = [auc for _, auc, _ in expected], expected[-1][2]
    chosen = fitted.chosen
    assert chosen["epochs"] == len(areas)
    assert chosen["rate"] == pytest.approx(rate)
    assert chosen["val_auc"] == pytest.approx(max(areas), abs=1e-6)
    assert areas[chosen["epoch"] - 1] == pytest.approx(max(areas), abs=1e-6)
    probabilities = fitted.predict(val.features).flatten()
    kept = float(binary_auroc(probabilities, val.labels.flatten().long()))
    assert kept == pytest.approx(chosen["val_auc"], abs=1e-6)


def test_fit_released__fewer_items_than_a_batch():
    train = make_rows(10)
    fitted = fit_released(train, make_rows(10, 1), TARGET, 0, epochs=3)
    assert fitted.chosen["epochs"] == 3


def test_fit_released__empty_labels_do_not_count():
    train, val = make_rows(40), make_rows(20, 1)
    labels = train.labels.clone()
    labels[:, 1] = torch.nan
    masked = replace(train, labels=labels)
    val_labels = val.labels.clone()
    val_labels[:, 1] = torch.nan
    fitted = fit_released(masked, replace(val, labels=val_labels), TARGET, 0, epochs=2)
    start = seeded_linear(8, 3, 0)
    with torch.no_grad():
        first = start(val.features).sigmoid()
    moved = (fitted.predict(val.features) - first).abs().amax(dim=0)
    assert moved[1] == 0
    assert moved[0] > 1e-5


def test_fit_released__validation_of_one_value():
    val = make_rows(10, 1)
    val = replace(val, labels=torch.zeros_like(val.labels))
    with pytest.raises(UsageError, match="validation items are 0: the best AUC"):
        fit_released(make_rows(40), val, TARGET, 0)


def test_released_probe__learns_the_mean_of_windows(make_problem):
    # At its low rate, a hundred items would end before anything is learned.
    problem = make_problem(count=1000)
    options = {"folds": [problem.fold], "draws": 20, "epochs": 200}
    result = released_probe(problem.features, problem.table, **options)
    assert result.metrics["auc/flat"] > 0.8
    assert result.protocol["pool"] == "mean"
    assert len(result.predictions) == 334


def test_released_probe__seed_decides_everything(make_problem):
    problem = make_problem(count=60)
    options = {"folds": [problem.fold], "draws": 2, "epochs": 5}

    def scores(seed):
        state = torch.random.get_rng_state()
        result = released_probe(problem.features, problem.table, seed, **options)
        assert torch.equal(torch.random.get_rng_state(), state)
        return result.predictions.scores

    assert torch.equal(scores(0), scores(0))
    assert not torch.equal(scores(0), scores(1))


def test_released_probe__refuses(make_problem):
    problem = make_problem("multiclass", count=30)
    with pytest.raises(UsageError, match=r"faces is multiclass\. Use exact"):
        released_probe(problem.features, problem.table, folds=[problem.fold])
    problem = make_problem(count=30, tokens=2)
    with pytest.raises(UsageError, match="released probe takes one vector"):
        released_probe(problem.features, problem.table, folds=[problem.fold])
    with pytest.raises(ValueError, match=r"batch_size \(0\)"):
        released_probe(problem.features, problem.table, batch_size=0)


def test_seeded_linear__is_torchs_own_from_that_seed():
    state = torch.random.get_rng_state()
    head = seeded_linear(5, 2, 7)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(7)
    expected = nn.Linear(5, 2)
    assert torch.equal(head.weight, expected.weight)
    assert torch.equal(head.bias, expected.bias)
