"""Every set of objectives, whose forward passes are shared."""

from itertools import combinations

import pytest
import torch
from torch.optim import SGD

from lightly_marlin.loss import gradient_histograms
from lightly_marlin.models import EmaTeacher, MarlinDiscriminator, linear_momentum
from lightly_marlin.training.objectives.building import build_objectives
from lightly_marlin.training.objectives.critic import Critic
from lightly_marlin.training.objectives.names import OBJECTIVES
from lightly_marlin.training.objectives.objective_step import ObjectiveStep
from lightly_marlin.training.objectives.pixels import Pixels

OTHERS = ("latent", "instance", "histograms", "visible_histograms", "contrast")


def make_step(model, weights):
    torch.manual_seed(3)
    parts = dict(build_objectives(model, weights))
    if "adversarial" in weights:
        discriminator = MarlinDiscriminator(model.config.patch_dim, 8)
        optimizer = SGD(discriminator.parameters(), 1e-2)
        parts["adversarial"] = Critic(discriminator, optimizer)
    return ObjectiveStep(model, {n: (parts[n], w) for n, w in weights.items()})


def count_calls(monkeypatch, owner, name):
    calls = []
    method = getattr(owner, name)

    def counted(*args, **kwargs):
        calls.append(kwargs)
        return method(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


def gradients(module):
    return {
        name: weight.grad.clone()
        for name, weight in module.named_parameters()
        if weight.grad is not None
    }


def test_objective_step__each_forward_runs_once(model, batch, mask, monkeypatch):
    weights = {"pixels": 1.0, "adversarial": 0.1, "latent": 0.1, "instance": 0.1}
    step = make_step(model, weights)
    encoder = count_calls(monkeypatch, model.encoder, "encode")
    teacher = count_calls(monkeypatch, step.teacher.module, "encode")
    decoder = count_calls(monkeypatch, model.decoder, "forward_tokens")
    losses = step(batch, *mask)
    assert (len(encoder), len(teacher), len(decoder)) == (1, 1, 1)
    # The student sees what is visible, the teacher everything.
    assert encoder[0]["idx_keep"] is mask[0]
    assert teacher[0] == {}
    assert losses.reported.keys() == {*weights, "discriminator"}
    assert all(not loss.requires_grad for loss in losses.reported.values())


def test_objective_step__parts_of_motion_are_reported(model, batch, mask):
    step = make_step(model, {"motion": 1.0, "latent": 0.1})
    losses = step(batch, *mask)
    reported = losses.reported
    assert reported.keys() == {"motion", "first_frame", "difference", "latent"}
    assert all(not loss.requires_grad for loss in reported.values())
    loss = step.objectives["motion"].loss
    weight = loss.motion_weight
    mean = (1 - weight) * reported["first_frame"] + weight * reported["difference"]
    torch.testing.assert_close(reported["motion"], mean)
    # Logging parts does not change what is trained.
    pred = model(batch["video"], *mask)
    torch.testing.assert_close(
        losses.weighted["motion"], loss(pred, batch["video"], mask[1])
    )


def test_objective_step__latent_alone_decodes_no_pixels(
    model, batch, mask, monkeypatch
):
    step = make_step(model, {"latent": 1.0})
    decoder = count_calls(monkeypatch, model.decoder, "forward_tokens")
    step(batch, *mask).total.backward()
    assert decoder == []
    assert all(weight.grad is None for weight in model.decoder.parameters())
    assert model.encoder.blocks[0].attn.qkv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("decoding", [None, "pixels", "norm_pixels", "motion"])
def test_objective_step__gradient_of_the_sum(model, batch, mask, decoding, count):
    for others in combinations(OTHERS, count):
        weights = dict.fromkeys(others, 0.3)
        if decoding is not None:
            weights = {decoding: 1.0, **weights}
        step = make_step(model, weights)
        step.zero_grad()
        losses = step(batch, *mask)
        losses.total.backward()
        whole = gradients(step)
        # The sum of the gradients of each term, one backward pass after the other.
        step.zero_grad()
        for term in step(batch, *mask).weighted.values():
            term.backward(retain_graph=True)
        parts = gradients(step)
        assert whole.keys() == parts.keys()
        for name in whole:
            torch.testing.assert_close(whole[name], parts[name], rtol=1e-4, atol=1e-7)
        expected = sum(
            weight * float(losses.reported[name]) for name, weight in weights.items()
        )
        assert float(losses.total.detach()) == pytest.approx(expected, rel=1e-5)


# Parts of the encoder, decoder and heads that each objective trains.
TRAINED = {
    "pixels": {"encoder", "enc_dec_proj", "decoder"},
    "norm_pixels": {"encoder", "enc_dec_proj", "decoder"},
    "motion": {"encoder", "enc_dec_proj", "decoder"},
    "latent": {"encoder", "predictor"},
    "instance": {"encoder", "projector", "predictor"},
    "histograms": {"encoder", "predictor"},
    "visible_histograms": {"encoder", "head"},
    "contrast": {"encoder", "projector"},
}


@pytest.mark.parametrize("name", TRAINED)
def test_objective_step__what_each_objective_trains(model, batch, mask, name):
    step = make_step(model, {name: 1.0})
    step(batch, *mask).total.backward()
    places = {
        key.split(".")[1] if key.startswith("model.") else key.split(".")[2]
        for key in gradients(step)
    }
    assert places == TRAINED[name]
    if step.teacher is not None:
        assert not any(weight.requires_grad for weight in step.teacher.parameters())


def test_objective_step__histograms_of_masked_and_of_visible_tokens(model, batch, mask):
    step = make_step(model, {"histograms": 1.0, "visible_histograms": 1.0})
    truth = gradient_histograms(batch["video"])
    heads = step.objectives
    for name, layer, idx in (
        ("histograms", heads["histograms"].predictor.decoder.head, mask[1]),
        ("visible_histograms", heads["visible_histograms"].head.proj, mask[0]),
    ):
        # Zeros are predicted, so that the loss is the mean square of the truth.
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        expected = torch.stack([t[i] for t, i in zip(truth, idx, strict=True)])
        loss = step(batch, *mask).reported[name]
        torch.testing.assert_close(loss, expected.square().mean())


def test_objective_step__weight_0_is_as_if_absent(model, batch, mask):
    with_zero = make_step(model, {"pixels": 1.0, "latent": 0.0, "contrast": 0.0})
    without = make_step(model, {"pixels": 1.0})
    assert with_zero.teacher is None
    assert list(with_zero.objectives) == ["pixels"]
    before = torch.get_rng_state()
    first, second = with_zero(batch, *mask), without(batch, *mask)
    assert torch.equal(first.total, second.total)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("decoding", ["norm_pixels", "motion"])
def test_objective_step__critic_reads_pixels(model, batch, mask, decoding):
    """Whatever the decoder is compared with, what it predicts is scored as pixels."""
    step = make_step(model, {decoding: 1.0, "adversarial": 0.1})
    seen = []
    step.objectives["adversarial"].discriminator.register_forward_hook(
        lambda _, inputs, __: seen.append(inputs[0].detach())
    )
    step(batch, *mask)
    pred = model(batch["video"], *mask).detach()
    loss = step.objectives[decoding].loss
    expected = loss.to_pixels(pred, batch["video"], mask[1])
    assert not torch.equal(expected, pred)
    torch.testing.assert_close(seen[1], expected)
    torch.testing.assert_close(seen[2], expected)


def test_objective_step__teacher_follows_as_the_closed_form(model, batch, mask):
    step = make_step(model, {"latent": 1.0, "instance": 1.0})
    optimizer = SGD([p for p in step.parameters() if p.requires_grad], 1e-2)
    weight = model.encoder.blocks[0].attn.qkv.weight
    projector = step.objectives["instance"].projector.layers[0].weight
    expected = [weight.detach().double(), projector.detach().double()]
    for number in range(20):
        losses = step(batch, *mask)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        momentum = linear_momentum(number, 20, 0.9)
        step.after_update(momentum)
        for place, student in enumerate((weight, projector)):
            now = student.detach().double()
            expected[place] = momentum * expected[place] + (1 - momentum) * now
    taught = step.teacher.module.blocks[0].attn.qkv.weight
    target = step.objectives["instance"].target_projector.module.layers[0].weight
    torch.testing.assert_close(taught.double(), expected[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(target.double(), expected[1], rtol=0, atol=1e-6)
    table = step.teacher.module.pos_embed
    assert torch.equal(table, model.encoder.pos_embed)


def test_objective_step__given_teacher_is_used(model):
    teacher = EmaTeacher(model.encoder, method="encode")
    part = build_objectives(model, {"latent": 1.0})["latent"]
    assert ObjectiveStep(model, {"latent": (part, 1.0)}, teacher).teacher is teacher
    pixels = {"pixels": (Pixels.of(model), 1.0)}
    assert ObjectiveStep(model, pixels, teacher).teacher is None


def test_objective_step__missing_keys(model, batch, mask):
    step = make_step(model, {"contrast": 1.0})
    with pytest.raises(ValueError, match="contrast needs idx_keep_b, video_b"):
        step({"video": batch["video"]}, *mask)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"pixels": 0.0}, "none has a weight above 0"),
        ({"pixels": -1.0}, "Invalid weight of pixels -1.0"),
        ({"pixels": float("nan")}, "Invalid weight of pixels nan"),
        ({"pixels": 1.0, "motion": 1.0}, "the decoder has one output"),
    ],
)
def test_objective_step__bad_weights(model, weights, message):
    with pytest.raises(ValueError, match=message):
        make_step(model, weights)


def test_building__all_but_the_critic(model):
    decoding = ("norm_pixels", "motion")
    weights = {name: 1.0 for name in OBJECTIVES if name not in decoding}
    parts = build_objectives(model, weights)
    assert list(parts) == ["pixels", *OTHERS]
    # Beside pixels a head on the decoder predicts, alone a decoder of its own.
    assert sum(p.numel() for p in parts["latent"].parameters()) < 1000
    alone = build_objectives(model, {"latent": 1.0})["latent"]
    assert sum(p.numel() for p in alone.parameters()) > 1000
