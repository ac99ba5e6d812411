"""Equality with `marlin-pytorch`, the implementation of MARLIN's authors."""

import pytest
import torch

from lightly_marlin.models import create_marlin, create_marlin_encoder, list_models
from lightly_marlin.models.config import named_config
from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.models.marlin import Marlin
from lightly_marlin.models.positional_embedding import sincos_positional_embedding

TOLERANCE = {"rtol": 0, "atol": 1e-4}


@pytest.fixture(
    scope="module", params=["small", pytest.param("base", marks=pytest.mark.slow)]
)
def pair(request, make_reference, tmp_path_factory):
    """The reference, and our model with its weights, loaded from its checkpoint."""
    name = f"marlin_vit_{request.param}"
    reference = make_reference(named_config(name))
    path = tmp_path_factory.mktemp("weights") / f"{name}_ytf.full.pt"
    torch.save(reference.state_dict(), path)
    yield reference, create_marlin(name, weights=path).eval()
    path.unlink()


@pytest.fixture(params=["random", pytest.param("real", marks=pytest.mark.real_data)])
def clip(request):
    if request.param == "real":
        return request.getfixturevalue("real_clip")
    generator = torch.Generator().manual_seed(3)
    size = (1, 3, 16, 224, 224)
    return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)


def visible_mask(idx_keep):
    return torch.zeros(len(idx_keep), 1568, dtype=torch.bool).scatter(1, idx_keep, True)


@torch.no_grad()
def test_visible_tokens_and_reconstructions_are_equal(pair, clip, split_tokens):
    reference, model = pair
    idx_keep, idx_mask = split_tokens(1, 1568, 156)
    visible = visible_mask(idx_keep)
    torch.testing.assert_close(
        model.encoder.encode(clip, idx_keep=idx_keep),
        reference.encoder(clip / 255, visible),
        **TOLERANCE,
    )
    torch.testing.assert_close(
        model(clip, idx_keep, idx_mask), reference(clip / 255, visible), **TOLERANCE
    )


@torch.no_grad()
def test_features_are_equal(pair, clip):
    reference, model = pair
    torch.testing.assert_close(
        model.encoder.encode(clip),
        reference.encoder.extract_features(clip / 255, seq_mean_pool=False),
        **TOLERANCE,
    )
    torch.testing.assert_close(
        model.encoder(clip),
        reference.encoder.extract_features(clip / 255, seq_mean_pool=True),
        **TOLERANCE,
    )


@torch.no_grad()
def test_base_encoder_is_equal(make_reference, tmp_path, split_tokens):
    # The fast run's share of base: its encoder, on visible tokens.
    reference = make_reference(named_config("marlin_vit_base")).encoder
    state = {f"encoder.{name}": t for name, t in reference.state_dict().items()}
    torch.save(state, tmp_path / "marlin_vit_base_ytf.encoder.pt")
    encoder = create_marlin_encoder(weights=tmp_path / "marlin_vit_base_ytf.encoder.pt")
    idx_keep, _ = split_tokens(1, 1568, 156)
    videos = torch.rand(1, 3, 16, 224, 224)
    torch.testing.assert_close(
        encoder.encode(videos, idx_keep=idx_keep),
        reference(videos, visible_mask(idx_keep)),
        **TOLERANCE,
    )


@pytest.mark.parametrize(
    ("name", "encoder_count", "encoder_trainable", "count"),
    [
        ("marlin_vit_small", 22_482_048, 21_879_936, 24_932_544),
        ("marlin_vit_base", 87_431_424, 86_227_200, 96_017_280),
        ("marlin_vit_large", 305_466_368, 303_860_736, 345_405_440),
    ],
)
def test_parameter_counts(name, encoder_count, encoder_trainable, count):
    # Counted on marlin-pytorch's models; the published 22.48, 87.43 and 305.47 million
    # include the fixed positional embedding.
    with torch.device("meta"):
        encoder = MarlinEncoder(named_config(name))
        model = Marlin(named_config(name))
    assert sum(p.numel() for p in encoder.parameters()) == encoder_count
    assert sum(p.numel() for p in model.parameters()) == count
    trainable = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    assert trainable == encoder_trainable


@pytest.mark.parametrize("name", list_models()[1:])
def test_fixed_tables_are_those_of_the_released_models(name, make_reference):
    config = named_config(name, encoder_depth=1, decoder_depth=1)
    reference = make_reference(config)
    for part, dim in (("encoder", config.encoder_dim), ("decoder", config.decoder_dim)):
        released = getattr(reference, part).pos_embedding.emb
        table = sincos_positional_embedding(config.num_tokens, dim)
        torch.testing.assert_close(table, released.data, rtol=0, atol=1e-6)
