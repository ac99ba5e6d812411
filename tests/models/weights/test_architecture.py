import pytest
import torch

from lightly_marlin.models import Marlin, MarlinEncoder, create_marlin_encoder
from lightly_marlin.models.config import named_config
from lightly_marlin.models.weights.checkpoint import Checkpoint
from lightly_marlin.models.weights.released_layout import released_state


@pytest.mark.parametrize("name", ["marlin_vit_tiny", "marlin_vit_small"])
def test_named_models_are_inferred_from_their_weights(name, tmp_path):
    encoder = create_marlin_encoder(name)
    torch.save(released_state(encoder), tmp_path / "weights.encoder.pt")
    checkpoint = Checkpoint.open(tmp_path / "weights.encoder.pt")
    assert checkpoint.architecture() == named_config(name)


def test_a_configuration_beside_the_weights_says_it(toy, tmp_path):
    Marlin(toy).save_pretrained(tmp_path)
    assert Checkpoint.open(tmp_path).architecture() == toy


def test_other_sizes_need_a_configuration(toy, tmp_path):
    torch.save(released_state(Marlin(toy)), tmp_path / "toy.pt")
    with pytest.raises(
        ValueError, match=r"2 blocks of width 24 over 32 tokens, .* no named model"
    ):
        Checkpoint.open(tmp_path / "toy.pt").architecture()


def test_parts(toy, tmp_path):
    torch.save(released_state(Marlin(toy)), tmp_path / "full.pt")
    torch.save(MarlinEncoder(toy).state_dict(), tmp_path / "encoder.pt")
    whole = {"encoder", "enc_dec_proj", "decoder"}
    assert Checkpoint.open(tmp_path / "full.pt").parts == whole
    assert Checkpoint.open(tmp_path / "encoder.pt").parts == {"encoder"}


def test_other_clips_need_a_configuration(tmp_path):
    longer = create_marlin_encoder("marlin_vit_tiny", num_frames=32)
    torch.save(released_state(longer), tmp_path / "tiny.encoder.pt")
    with pytest.raises(ValueError, match="width 192 over 3136 tokens"):
        Checkpoint.open(tmp_path / "tiny.encoder.pt").architecture()
