"""Grid of linear heads: each equals a head trained alone by torch."""

import math
from dataclasses import replace

import pytest
import torch

from lightly_marlin.evaluation import Target
from lightly_marlin.evaluation.metrics.metrics import primary_metric
from lightly_marlin.evaluation.probes.head_start import HeadStart
from lightly_marlin.evaluation.probes.linear_probe import (
    HeadGrid,
    fit_linear,
    linear_probe,
)
from lightly_marlin.evaluation.probes.probe_rows import ProbeRows
from lightly_marlin.utils.errors import UsageError

SETTINGS = [(1e-2, 0.0), (1e-2, 0.5), (3e-3, 0.1)]
TARGETS = [
    Target("binary", ("a",)),
    Target("multilabel", ("a", "b", "c")),
    Target("multiclass", ("a", "b", "c")),
    Target("regression", ("a", "b")),
]


def make_batches(target, steps, generator):
    for _ in range(steps):
        inputs = torch.randn(16, 5, generator=generator)
        labels = torch.randint(0, 2, (16, target.num_columns), generator=generator)
        labels = labels.float()
        labels[torch.rand(labels.shape, generator=generator) < 0.2] = torch.nan
        yield inputs, labels


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_head_grid__every_head_equals_one_trained_alone(target):
    steps = 30
    generator = torch.Generator().manual_seed(0)
    batches = list(make_batches(target, steps, generator))
    start = HeadStart.of(target, torch.cat([labels for _, labels in batches]))
    grid = HeadGrid(start, 5, SETTINGS, steps)
    alone, optimizers = [], []
    for rate, decay in SETTINGS:
        head = torch.nn.Linear(5, target.num_outputs)
        torch.nn.init.zeros_(head.weight)
        head.bias.data.copy_(start.bias)
        groups = [
            {"params": [head.weight], "weight_decay": decay},
            {"params": [head.bias], "weight_decay": 0.0},
        ]
        alone.append(head)
        optimizers.append(torch.optim.AdamW(groups, lr=rate))
    for step, (inputs, labels) in enumerate(batches):
        grid.step(inputs, labels)
        share = (1 + math.cos(math.pi * step / steps)) / 2
        for head, optimizer, (rate, _) in zip(alone, optimizers, SETTINGS, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            optimizer.zero_grad()
            target.loss(head(inputs), labels).backward()
            optimizer.step()
    for index, head in enumerate(alone):
        torch.testing.assert_close(
            grid.weight[index], head.weight, atol=1e-5, rtol=1e-4
        )
        torch.testing.assert_close(grid.bias[index], head.bias, atol=1e-5, rtol=1e-4)
    inputs = batches[0][0]
    for scores, head in zip(grid.scores(inputs), alone, strict=True):
        expected = start.scores(head(inputs))
        torch.testing.assert_close(scores, expected, atol=1e-4, rtol=1e-4)


def test_head_grid__batch_without_labels_is_no_step_of_the_loss():
    target = Target("multilabel", ("a", "b"))
    start = HeadStart.of(target, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    grid = HeadGrid(start, 3, [(1e-2, 0.0)], 10)
    grid.step(torch.ones(4, 3), torch.full((4, 2), torch.nan))
    assert torch.equal(grid.weight, torch.zeros(1, 2, 3))


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass", "regression"])
def test_linear_probe__learns(make_problem, kind):
    problem = make_problem(kind)
    result = linear_probe(
        problem.features, problem.table, folds=[problem.fold], draws=20
    )
    name = primary_metric(problem.table.target)
    if kind == "regression":
        assert result.metrics[name] < 0.6 * result.constant[name]
    else:
        assert result.metrics[name] > result.constant[name] + 0.3
    assert len(result.chosen["test"]["losses"]) == 15


def test_linear_probe__seed_decides_everything(make_problem):
    problem = make_problem("multilabel")
    options = {"folds": [problem.fold], "draws": 2, "min_steps": 9, "epochs": 3}

    def scores(seed):
        state = torch.random.get_rng_state()
        result = linear_probe(problem.features, problem.table, seed, **options)
        assert torch.equal(torch.random.get_rng_state(), state)
        return result.predictions.scores

    assert torch.equal(scores(0), scores(0))
    assert not torch.equal(scores(0), scores(1))


def make_rows(labels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(len(labels), 6, generator=generator)
    features[:, 0] += 4 * labels[:, 0]
    return ProbeRows(features, labels, torch.arange(len(labels)), labels)


def test_fit_linear__keeps_the_head_that_validation_prefers():
    labels = torch.arange(60).remainder(2).float()[:, None]
    target = Target("binary", ("a",))
    train, val = make_rows(labels), make_rows(labels[:30], seed=1)
    fitted = fit_linear(train, val, target, 0, rates=(1e-4, 1e-2), decays=(0.0,))
    assert fitted.chosen["rate"] == 1e-2
    loss = val.item_loss(target, fitted.predict(val.features))
    assert loss == pytest.approx(min(fitted.chosen["losses"].values()), abs=1e-6)
    # With validation labels the wrong way round, the head that moved least is best.
    wrong = replace(val, labels=1 - val.labels, item_labels=1 - val.item_labels)
    fitted = fit_linear(train, wrong, target, 0, rates=(1e-4, 1e-2), decays=(0.0,))
    assert fitted.chosen["rate"] == 1e-4


def test_fit_linear__settings_may_be_equal():
    labels = torch.arange(60).remainder(2).float()[:, None]
    rows, target = make_rows(labels), Target("binary", ("a",))
    # Wrong labels prefer the low rate, which is the last of four here.
    wrong = replace(rows, labels=1 - labels, item_labels=1 - labels)
    rates = (1e-2, 1e-2, 1e-2, 1e-4)
    fitted = fit_linear(rows, wrong, target, 0, rates=rates, decays=(0.0,))
    assert fitted.chosen["rate"] == 1e-4


def test_fit_linear__steps_are_bounded():
    labels = torch.arange(60).remainder(2).float()[:, None]
    target = Target("binary", ("a",))
    rows = make_rows(labels)

    def length(epochs, min_steps, max_steps):
        chosen = fit_linear(
            rows,
            rows,
            target,
            0,
            epochs=epochs,
            min_steps=min_steps,
            max_steps=max_steps,
            batch_size=16,
        ).chosen
        assert chosen["steps"] == 4 * chosen["epochs"]
        return chosen["epochs"]

    assert length(10, 0, 1000) == 10
    assert length(10, 50, 1000) == 13
    assert length(10, 0, 21) == 5
    assert length(10, 0, 1) == 1


def test_linear_probe__refuses_tokens_and_settings(make_problem):
    problem = make_problem(count=30, tokens=4)
    with pytest.raises(UsageError, match="linear probe takes one vector per window"):
        linear_probe(problem.features, problem.table, folds=[problem.fold])
    with pytest.raises(ValueError, match=r"epochs \(0\)"):
        linear_probe(problem.features, problem.table, epochs=0)
    with pytest.raises(ValueError, match=r"rates \(\(\)\)"):
        linear_probe(problem.features, problem.table, rates=())
