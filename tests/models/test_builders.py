import pytest
import torch
from pytorchvideo.models.net import Net
from torch import nn

from lightly_marlin.models import (
    Marlin,
    MarlinEncoder,
    create_marlin,
    create_marlin_encoder,
    load_encoder,
    load_model,
    load_weights,
)

SMALLER = {"img_size": 32, "encoder_depth": 1, "decoder_depth": 1}


def test_builds_named_models():
    model = create_marlin("marlin_vit_tiny", **SMALLER)
    encoder = create_marlin_encoder("marlin_vit_small", **SMALLER)
    assert isinstance(model, Marlin)
    assert isinstance(encoder, MarlinEncoder)
    assert model.config.img_size == 32
    assert encoder.embed_dim == 384


def test_weights_are_loaded(tmp_path, toy_videos):
    model = create_marlin("marlin_vit_tiny", **SMALLER)
    model.save_pretrained(tmp_path)
    loaded = create_marlin("marlin_vit_tiny", weights=tmp_path, **SMALLER)
    encoder = create_marlin_encoder("marlin_vit_tiny", weights=tmp_path, **SMALLER)
    features = model.encoder(toy_videos)
    assert torch.equal(loaded.encoder(toy_videos), features)
    assert torch.equal(encoder(toy_videos), features)


def test_sits_in_a_net_of_pytorchvideo(tmp_path, toy_videos):
    model = create_marlin("marlin_vit_tiny", **SMALLER)
    model.save_pretrained(tmp_path)
    encoder = create_marlin_encoder("marlin_vit_tiny", **SMALLER)
    net = Net(blocks=nn.ModuleList([encoder, nn.Linear(192, 5)]))
    assert net(toy_videos).shape == (2, 5)
    load_weights(net.blocks[0], tmp_path)
    expected = net.blocks[1](model.encoder(toy_videos))
    torch.testing.assert_close(net(toy_videos), expected)


@pytest.mark.parametrize("build", [create_marlin, create_marlin_encoder])
def test_unknown_names_are_refused(build, tmp_path):
    with pytest.raises(ValueError, match=r"Unknown model 'vit_b'.*marlin_vit_tiny"):
        build("vit_b")
    with pytest.raises(ValueError, match="Unknown model settings 'drop_path'"):
        build("marlin_vit_tiny", drop_path=0.1)
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt"):
        build("marlin_vit_tiny", weights=tmp_path / "nothing.pt")


def test_built_models_are_fast_on_cpus(tmp_path):
    model = create_marlin("marlin_vit_tiny", **SMALLER)
    model.save_pretrained(tmp_path)
    for built in (
        model,
        create_marlin_encoder("marlin_vit_tiny", **SMALLER),
        load_model(tmp_path),
        load_encoder(tmp_path),
        Marlin.from_pretrained(tmp_path),
    ):
        assert nn.Linear not in {type(module) for module in built.modules()}
    plain = {type(module) for module in Marlin(model.config).modules()}
    assert not any(".cpu." in kind.__module__ for kind in plain)
