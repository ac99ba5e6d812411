"""Weights of something else, by every way in: an error that says so, or right."""

import json
import shutil

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from transformers import VideoMAEConfig, VideoMAEForPreTraining

from lightly_marlin.models import (
    Marlin,
    MarlinEncoder,
    ModelCard,
    create_marlin,
    create_marlin_encoder,
    load_weights,
)
from lightly_marlin.models.weights.checkpoint import Checkpoint

WAYS = {
    "create_marlin": lambda path: create_marlin("marlin_vit_tiny", weights=path),
    "create_marlin_encoder": lambda path: create_marlin_encoder(
        "marlin_vit_tiny", weights=path
    ),
    "architecture": lambda path: Checkpoint.open(path).architecture(),
}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_marlin("marlin_vit_tiny")


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved")
    model.save_pretrained(path)
    return path


@pytest.fixture
def folder(saved, tmp_path):
    """A model folder to be spoilt."""
    return shutil.copytree(saved, tmp_path / "model")


def timm_weights(path):
    torch.save(timm.create_model("vit_tiny_patch16_224").state_dict(), path)


def resnet_weights(path):
    torch.save(timm.create_model("resnet10t").state_dict(), path)


def fine_tuned_videomae(path):
    # Names and shapes as its fine-tuning saves them through DeepSpeed.
    state = {
        "patch_embed.proj.weight": torch.rand(192, 3, 2, 16, 16),
        "blocks.0.attn.q_bias": torch.rand(192),
        "fc_norm.weight": torch.rand(192),
        "head.weight": torch.rand(10, 192),
    }
    torch.save({"module": state}, path)


def hugging_face_videomae(path):
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = VideoMAEConfig(
        **sizes, decoder_hidden_size=12, decoder_num_hidden_layers=1
    )
    torch.save(VideoMAEForPreTraining(config).state_dict(), path)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("write", "what"),
    [
        (timm_weights, r"patch_embed\.proj\.weight, as timm"),
        (resnet_weights, r"weights such as conv1\."),
        (fine_tuned_videomae, r"as timm, or a VideoMAE fine-tuned"),
        (hugging_face_videomae, r"as Hugging Face's VideoMAE has them"),
    ],
)
def test_other_architectures(write, what, way, tmp_path):
    write(tmp_path / "other.pth")
    message = rf"Unknown kind of checkpoint .*other\.pth, .*{what}.*Supported are .*Vid"
    with pytest.raises(ValueError, match=message):
        WAYS[way](tmp_path / "other.pth")


def test_a_model_of_hugging_face(tmp_path):
    config = {"model_type": "videomae", "hidden_size": 768}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match=r"config\.json: it is of a 'videomae' model"):
        Marlin.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("encoder", {"encoder_depth": 6}, "encoder has 6 blocks, the model's has 4"),
        ("decoder", {"decoder_depth": 1}, "decoder has 1 blocks, the model's has 2"),
        ("encoder", {"encoder_dim": 96}, r"is \(96,\) instead of \(192,\).*choose its"),
        ("encoder", {"patch_size": 8}, "tubelets of 384 values, the model is for 1536"),
        ("encoder", {"tubelet_size": 4}, "tubelets of 3072 values, the model is for"),
    ],
)
def test_other_sizes_in_a_bare_file(part, change, message, tmp_path):
    with torch.device("meta"):
        other = create_marlin("marlin_vit_tiny", **change).state_dict()
    state = {name: torch.zeros(tensor.shape) for name, tensor in other.items()}
    save_file(state, tmp_path / "other.safetensors")
    create = create_marlin_encoder if part == "encoder" else create_marlin
    with pytest.raises(ValueError, match=rf"other\.safetensors do not fit .*{message}"):
        create("marlin_vit_tiny", weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value, folder, model):
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.blocks.1.mlp.fc1.bias"][3] = value
    save_file(tensors, folder / "model.safetensors")
    fresh = create_marlin("marlin_vit_tiny")
    before = fresh.encoder.patch_embed.weight.clone()
    with pytest.raises(
        ValueError, match=r"NaN or infinity: encoder\.blocks\.1\.mlp\.f"
    ):
        load_weights(fresh, folder)
    assert torch.equal(fresh.encoder.patch_embed.weight, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted(dtype, model, tmp_path):
    state = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    loaded = create_marlin("marlin_vit_tiny", weights=tmp_path / "weights.safetensors")
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state[name].float())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
@pytest.mark.parametrize("part", ["model", "encoder"])
def test_wrapped_models(prefix, part, model, tmp_path):
    state = (model if part == "model" else model.encoder).state_dict()
    torch.save({prefix + n: t for n, t in state.items()}, tmp_path / "wrapped.pt")
    encoder = create_marlin_encoder("marlin_vit_tiny", weights=tmp_path / "wrapped.pt")
    assert Checkpoint.open(tmp_path / "wrapped.pt").architecture() == model.config
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, model.encoder.state_dict()[name])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not a JSON file"),
        ("{'img_size': 224}", "it is not a JSON file"),
        ("[224]", "it holds no settings by name"),
        ('{"drop_path": 0.1}', "Unknown model settings 'drop_path'"),
        ('{"encoder_dim": "192"}', r"Invalid encoder_dim \('192'\)"),
        (
            '{"encoder_dim": 192}',
            "does not say encoder_num_heads and decoder_num_heads",
        ),
    ],
)
@pytest.mark.parametrize("load", [Marlin.from_pretrained, *WAYS.values()])
def test_configurations(text, message, load, folder):
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=rf"Cannot .*config\.json: .*{message}"):
        load(folder)


def test_without_a_configuration_a_name_is_needed(folder, model):
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match=r"holds no config\.json, but model\.safetens"):
        Marlin.from_pretrained(folder)
    loaded = create_marlin("marlin_vit_tiny", weights=folder)
    assert torch.equal(loaded.decoder.head.weight, model.decoder.head.weight)


@pytest.mark.parametrize("kind", [Marlin, MarlinEncoder])
def test_a_file_has_no_configuration(kind, saved):
    message = (
        r"model\.safetensors is a file, .* or load .*create_marlin\(name, weights="
    )
    with pytest.raises(ValueError, match=message):
        kind.from_pretrained(saved / "model.safetensors")


@pytest.mark.parametrize(
    "card", [None, b"", b"# A card", b"---\nlicense: [\n---\n# A card", b"\xff\xfe\x00"]
)
def test_cards_without_metadata(card, folder, model):
    path = folder / "README.md"
    if card is not None:
        path.write_bytes(card)
    loaded = Marlin.from_pretrained(folder)
    assert torch.equal(loaded.decoder.head.weight, model.decoder.head.weight)
    loaded.save_pretrained(folder)
    # A card that someone wrote is theirs, until they hand over another one.
    assert (path.read_bytes() if path.exists() else None) == card
    loaded.save_pretrained(folder, card=ModelCard(data="Talks.", license="mit"))
    assert "\nlicense: mit\n" in path.read_text().split("---\n")[1]


def test_a_configuration_with_a_byte_order_mark(folder, model):
    path = folder / "config.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert Marlin.from_pretrained(folder).config == model.config
