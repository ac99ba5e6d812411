import pytest
import torch

from lightly_marlin.models import Marlin
from lightly_marlin.models.weights.layout import (
    OUR_ENCODER,
    OUR_TRAINING,
    OURS,
    RELEASED,
    RELEASED_ON_HUB,
    VIDEOMAE,
    find_layout,
    without_wrappers,
)

TUBELET = (3, 2, 16, 16)


@pytest.mark.parametrize(
    ("theirs", "layout", "ours"),
    [
        (
            "encoder.patch_embedding.projection.bias",
            RELEASED,
            "encoder.patch_embed.bias",
        ),
        ("decoder.pos_embedding.emb", RELEASED, "decoder.pos_embed"),
        (
            "encoder.blocks.3.mlp.layers.0.linear.weight",
            RELEASED,
            "encoder.blocks.3.mlp.fc1.weight",
        ),
        (
            "marlin.encoder.blocks.3.mlp.layers.1.linear.bias",
            RELEASED_ON_HUB,
            "encoder.blocks.3.mlp.fc2.bias",
        ),
        ("discriminator.layers.0.linear.bias", RELEASED, "discriminator.fc1.bias"),
        ("encoder.patch_embed.proj.bias", VIDEOMAE, "encoder.patch_embed.bias"),
        ("encoder_to_decoder.weight", VIDEOMAE, "enc_dec_proj.weight"),
        ("mask_token", VIDEOMAE, "decoder.mask_token"),
        ("decoder.blocks.0.mlp.fc1.bias", VIDEOMAE, "decoder.blocks.0.mlp.fc1.bias"),
        ("encoder.patch_embed.bias", OURS, "encoder.patch_embed.bias"),
        ("patch_embed.bias", OUR_ENCODER, "encoder.patch_embed.bias"),
        ("model.decoder.mask_token", OUR_TRAINING, "decoder.mask_token"),
        ("discriminator.fc1.bias", OUR_TRAINING, "discriminator.fc1.bias"),
    ],
)
def test_names_are_translated_both_ways(theirs, layout, ours):
    assert layout.ours(theirs) == ours
    assert layout.theirs(ours) == theirs


@pytest.mark.parametrize(
    "layout", [OURS, OUR_ENCODER, OUR_TRAINING, RELEASED, RELEASED_ON_HUB, VIDEOMAE]
)
def test_every_layout_is_recognised_by_its_names(layout, toy):
    names = Marlin(toy).state_dict()
    if layout is OUR_ENCODER:
        names = [name for name in names if name.startswith("encoder.")]
    there = [layout.theirs(name) for name in names]
    assert find_layout(there) is layout
    assert [layout.ours(name) for name in there] == list(names)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"layer1.conv.weight.*Supported.*VideoMAE"):
        find_layout(["layer1.conv.weight"])


def test_kernels_are_flattened():
    kernel = torch.rand(5, *TUBELET)
    converted = RELEASED.convert("encoder.patch_embed.weight", kernel, TUBELET)
    assert torch.equal(converted, kernel.flatten(1))


def test_kernels_of_other_tubelets_are_left_for_the_shape_check():
    # As many pixels as 2 x 16 x 16, so flattening would hide the mistake.
    kernel = torch.rand(5, 3, 8, 8, 8)
    converted = RELEASED.convert("encoder.patch_embed.weight", kernel, TUBELET)
    assert converted.shape == (5, 3, 8, 8, 8)


def test_videomae_predicts_channels_last():
    # Row i of its head is the pixel i in (time, row, column, channel) order.
    bias = torch.arange(1536.0)
    converted = VIDEOMAE.convert("decoder.head.bias", bias, TUBELET)
    expected = bias.view(2, 16, 16, 3).permute(3, 0, 1, 2).flatten()
    assert torch.equal(converted, expected)
    assert torch.equal(RELEASED.convert("decoder.head.bias", bias, TUBELET), bias)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "module.module."]
)
def test_prefixes_of_wrappers_are_dropped(prefix):
    state = {"a.weight": torch.ones(2), "b.bias": torch.zeros(1)}
    assert without_wrappers({prefix + n: t for n, t in state.items()}) == state
