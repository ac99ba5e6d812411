"""What is trained here loads in `marlin-pytorch`, with the same results."""

import pytest
import torch
from marlin_pytorch import Marlin as ReferenceMarlin

from lightly_marlin.models import Marlin, MarlinEncoder, create_marlin_encoder
from lightly_marlin.models.weights.released_layout import released_state

TOLERANCE = {"rtol": 0, "atol": 1e-5}


def randomise(module):
    """Random values everywhere, so that no swapped or lost tensor stays unseen."""
    generator = torch.Generator().manual_seed(5)
    for parameter in module.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.1 * noise
    return module.eval()


@torch.no_grad()
def test_the_reference_predicts_what_we_predict(
    toy, make_reference, toy_videos, split_tokens
):
    model, reference = randomise(Marlin(toy)), make_reference(toy)
    reference.load_state_dict(released_state(model), strict=True)
    idx_keep, idx_mask = split_tokens(2, 32, 3)
    visible = torch.zeros(2, 32, dtype=torch.bool).scatter(1, idx_keep, True)
    torch.testing.assert_close(
        reference(toy_videos / 255, visible),
        model(toy_videos, idx_keep, idx_mask),
        **TOLERANCE,
    )


def test_an_encoder_has_the_names_of_a_whole_model(toy):
    model = Marlin(toy)
    whole = released_state(model)
    encoder = released_state(model.encoder)
    assert list(encoder) == [name for name in whole if name.startswith("encoder.")]
    assert all(torch.equal(whole[name], encoder[name]) for name in encoder)


@torch.no_grad()
@pytest.mark.parametrize("name", ["marlin_vit_small"])
def test_the_reference_reads_the_file_itself(name, tmp_path):
    encoder = randomise(create_marlin_encoder(name))
    path = tmp_path / f"{name}_ytf.encoder.pt"
    torch.save(released_state(encoder), path)
    reference = ReferenceMarlin.from_file(f"{name}_ytf", str(path)).eval()
    clip = torch.rand(1, 3, 16, 224, 224)
    for keep_seq, ours in ((False, encoder), (True, encoder.encode)):
        features = reference.extract_features(clip, keep_seq=keep_seq)
        torch.testing.assert_close(features, ours(clip), **TOLERANCE)


def test_weights_of_an_encoder_alone(toy):
    assert all(
        name.startswith("encoder.") for name in released_state(MarlinEncoder(toy))
    )
