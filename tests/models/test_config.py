import pytest

from lightly_marlin.models import MarlinConfig, list_models
from lightly_marlin.models.config import name_of_config, named_config


def test_models_are_listed_smallest_first():
    assert list_models() == [
        "marlin_vit_tiny",
        "marlin_vit_small",
        "marlin_vit_base",
        "marlin_vit_large",
    ]


@pytest.mark.parametrize(
    ("name", "encoder", "decoder"),
    [
        ("marlin_vit_small", (384, 12, 6), (192, 4, 3)),
        ("marlin_vit_base", (768, 12, 12), (384, 4, 6)),
        ("marlin_vit_large", (1024, 24, 16), (512, 12, 8)),
    ],
)
def test_sizes_are_the_published_ones(name, encoder, decoder):
    c = named_config(name)
    assert (c.encoder_dim, c.encoder_depth, c.encoder_num_heads) == encoder
    assert (c.decoder_dim, c.decoder_depth, c.decoder_num_heads) == decoder
    assert named_config(f"{name}_ytf") == c


@pytest.mark.parametrize("name", list_models())
def test_clip_of_every_model(name):
    config = named_config(name)
    assert config.grid == (8, 14, 14)
    assert config.num_tokens == 1568
    assert config.patch_dim == 1536
    assert config.tubelet_shape == (3, 2, 16, 16)


def test_dict_round_trip():
    config = MarlinConfig(img_size=96, encoder_dim=48, encoder_num_heads=4)
    assert MarlinConfig.from_dict(config.to_dict()) == config


def test_configuration_released_on_the_hub_is_understood():
    released = {
        "model_type": "marlin",
        "img_size": 224,
        "n_frames": 16,
        "encoder_embed_dim": 384,
        "encoder_num_heads": 6,
        "decoder_embed_dim": 192,
        "decoder_num_heads": 3,
        "qkv_bias": True,
    }
    assert MarlinConfig.from_dict(released) == named_config("marlin_vit_small")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encoder_depth": 0}, r"encoder_depth \(0\).*positive integer"),
        ({"img_size": 224.0}, r"img_size \(224.0\).*positive integer"),
        ({"in_channels": True}, r"in_channels \(True\).*positive integer"),
        ({"mlp_ratio": "4"}, r"mlp_ratio \('4'\).*positive number"),
        ({"img_size": 230}, r"img_size \(230\).*multiple of patch_size \(16\)"),
        ({"num_frames": 15}, r"num_frames \(15\).*multiple of tubelet_size \(2\)"),
        ({"encoder_dim": 770}, r"encoder_dim \(770\).*encoder_num_heads \(12\)"),
        ({"decoder_num_heads": 7}, r"decoder_dim \(384\).*decoder_num_heads \(7\)"),
    ],
)
def test_impossible_sizes_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        MarlinConfig(**values)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"'marlin_vit_huge'.*marlin_vit_tiny, "):
        named_config("marlin_vit_huge")
    with pytest.raises(ValueError, match=r"'drop_rate'.*Available settings.*mlp_ratio"):
        named_config("marlin_vit_base", drop_rate=0.1)


@pytest.mark.parametrize("name", list_models())
def test_name_of_config__is_exact_unless_clips_may_differ(name):
    clips = {"img_size": 96, "num_frames": 8}
    config, other = named_config(name), named_config(name, **clips)
    assert name_of_config(config) == name_of_config(config, any_clips=True) == name
    assert (name_of_config(other), name_of_config(other, any_clips=True)) == ("", name)
    # An odd number of frames, which no named model can have.
    frames = MarlinConfig(num_frames=5, tubelet_size=1)
    assert name_of_config(frames, any_clips=True) == ""
