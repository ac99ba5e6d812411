from lightly_marlin.evaluation import PixelFeatures
from lightly_marlin.evaluation.items.model_facts import model_facts
from lightly_marlin.features.window_model import weights_digest
from lightly_marlin.models import create_marlin, create_marlin_encoder


def test_model_facts__of_a_known_encoder():
    encoder = create_marlin_encoder("marlin_vit_tiny")
    config = encoder.config
    assert model_facts(encoder) == {
        "name": "marlin_vit_tiny",
        "weights": weights_digest(encoder),
        "num_frames": config.num_frames,
        "img_size": config.img_size,
        "encoder_dim": config.encoder_dim,
        "num_tokens": config.num_tokens,
        "grid": [8, 14, 14],
    }
    assert model_facts(encoder, "abc")["weights"] == "abc"


def test_model_facts__of_other_models(encoder):
    assert model_facts(encoder)["name"] == "MarlinEncoder"
    pixels = model_facts(PixelFeatures())
    assert (pixels["name"], pixels["num_tokens"]) == ("PixelFeatures", 1)
    whole = create_marlin("marlin_vit_tiny")
    assert model_facts(whole) == model_facts(whole.encoder)


def test_model_facts__name_models_of_other_clips():
    sizes = {"img_size": 32, "num_frames": 4}
    facts = model_facts(create_marlin_encoder("marlin_vit_tiny", **sizes))
    assert facts["name"] == "marlin_vit_tiny"
    assert {size: facts[size] for size in sizes} == sizes
    deeper = create_marlin_encoder("marlin_vit_tiny", **sizes, encoder_depth=1)
    assert model_facts(deeper)["name"] == "MarlinEncoder"
