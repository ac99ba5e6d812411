import re

import pytest
import torch
from torch import nn

from lightly_marlin.models import MarlinConfig, MarlinEncoder
from lightly_marlin.training.layer_decay import layer_decay_groups


@pytest.fixture
def model():
    return MarlinEncoder(
        MarlinConfig(img_size=32, encoder_dim=24, encoder_depth=3, encoder_num_heads=2)
    )


def formula(name, decay, depth=3):
    """Ratio of a parameter's rate to that of the head, written down by hand."""
    if name.startswith("encoder.patch_embed"):
        return decay ** (depth + 1)
    if block := re.match(r"encoder\.blocks\.(\d+)\.", name):
        return decay ** (depth - int(block[1]))
    assert name.startswith(("encoder.norm.", "head."))
    return 1.0


def test_layer_decay_groups__rate_of_every_parameter(model):
    head = nn.Linear(24, 5)
    groups = layer_decay_groups(model, 2e-3, heads={"head": head}, layer_decay=0.7)
    named = dict(
        [(f"encoder.{n}", p) for n, p in model.named_parameters()]
        + [(f"head.{n}", p) for n, p in head.named_parameters()]
    )
    seen = []
    for group in groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            assert parameter is named[name]
            assert group["lr"] == pytest.approx(2e-3 * formula(name, 0.7))
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0)
            seen.append(name)
    trainable = [name for name, value in named.items() if value.requires_grad]
    assert sorted(seen) == sorted(trainable)
    assert "encoder.pos_embed" not in seen
    counted = sum(p.numel() for group in groups for p in group["params"])
    assert counted == sum(named[name].numel() for name in trainable)


def test_layer_decay_groups__ratios_are_those_of_timm(model):
    from timm.optim import param_groups_layer_decay

    ours = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in layer_decay_groups(model, 1.0, layer_decay=0.65)
        for parameter in group["params"]
    }
    theirs = {
        id(parameter): (group["lr_scale"], group["weight_decay"])
        for group in param_groups_layer_decay(
            model, 0.05, model.no_weight_decay(), layer_decay=0.65
        )
        for parameter in group["params"]
    }
    assert theirs.keys() == ours.keys()
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(value)


def test_layer_decay_groups__trained_positions_have_no_weight_decay(model):
    model.pos_embed.requires_grad_(True)
    groups = layer_decay_groups(model, 1.0, layer_decay=0.5)
    (group,) = [g for g in groups if "encoder.pos_embed" in g["names"]]
    assert (group["lr"], group["weight_decay"]) == (0.5**4, 0)


def test_layer_decay_groups__frozen_parameters_are_left_out(model):
    model.requires_grad_(False)
    head = nn.Linear(24, 1)
    groups = layer_decay_groups(model, 1.0, heads={"head": head})
    names = sorted(name for group in groups for name in group["names"])
    assert names == ["head.bias", "head.weight"]


def test_layer_decay_groups__schedulers_multiply_the_rates(model):
    groups = layer_decay_groups(model, 1e-3, layer_decay=0.5)
    rates = [group["lr"] for group in groups]
    optimizer = torch.optim.AdamW(groups)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.25)
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx(
        [0.25 * rate for rate in rates]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_decay": 0.0}, r"Invalid layer_decay 0.0: must be in \(0, 1\]"),
        ({"layer_decay": 1.5}, "Invalid layer_decay 1.5"),
        ({"weight_decay": -1.0}, "Invalid weight_decay -1.0: must be 0 or more"),
        ({"rate": -1.0}, "Invalid rate -1.0"),
    ],
)
def test_layer_decay_groups__out_of_range(model, options, message):
    with pytest.raises(ValueError, match=message):
        layer_decay_groups(model, **{"rate": 1.0, **options})


def test_layer_decay_groups__encoder_that_does_not_tell_its_layers():
    with pytest.raises(ValueError, match="type Linear: layer decay needs"):
        layer_decay_groups(nn.Linear(1, 1), 1.0)
