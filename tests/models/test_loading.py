import pytest
import torch

from lightly_marlin.models import Marlin, create_marlin_encoder, load_encoder
from lightly_marlin.models.loading import load_model
from lightly_marlin.models.weights.released_layout import released_state


@pytest.fixture
def saved(toy, tmp_path):
    torch.manual_seed(3)
    model = Marlin(toy).eval()
    model.save_pretrained(tmp_path / "model")
    return model, tmp_path / "model"


def test_sizes_are_told_from_the_weights(saved, toy_videos):
    model, path = saved
    encoder, whole = load_encoder(path), load_model(str(path))
    expected = model.encoder(toy_videos)
    assert torch.equal(encoder(toy_videos), expected)
    assert torch.equal(whole.encoder(toy_videos), expected)
    assert whole.config == encoder.config == model.config
    assert not encoder.training
    assert not whole.training


def test_sizes_by_name(tmp_path):
    encoder = create_marlin_encoder("marlin_vit_tiny")
    torch.save(released_state(encoder), tmp_path / "tiny.encoder.pt")
    loaded = load_encoder(tmp_path / "tiny.encoder.pt", "marlin_vit_tiny")
    state = loaded.state_dict()
    assert all(
        torch.equal(state[key], value) for key, value in encoder.state_dict().items()
    )


@pytest.mark.parametrize("load", [load_encoder, load_model])
def test_what_cannot_be_loaded(load, saved):
    _, path = saved
    with pytest.raises(ValueError, match="Unknown model 'vit'"):
        load(path, "vit")
    with pytest.raises(ValueError, match="no file or folder gone"):
        load("gone")
    with pytest.raises(ValueError, match="of another configuration"):
        load(path, "marlin_vit_small")


def test_a_whole_model_needs_a_decoder(tmp_path):
    encoder = create_marlin_encoder("marlin_vit_tiny")
    torch.save(released_state(encoder), tmp_path / "tiny.encoder.pt")
    with pytest.raises(ValueError, match="encoder alone"):
        load_model(tmp_path / "tiny.encoder.pt")
