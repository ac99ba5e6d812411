import json
from pathlib import Path

import pytest
import torch
from marlin_pytorch.model.modules import MLP
from safetensors.torch import save_file
from torch import nn

from lightly_marlin.models import (
    Marlin,
    MarlinDiscriminator,
    MarlinEncoder,
    create_marlin,
    load_encoder,
    load_model,
    load_weights,
)
from lightly_marlin.models.weights import checkpoint as module
from lightly_marlin.models.weights import config_file, state_dict
from lightly_marlin.models.weights.checkpoint import Checkpoint
from lightly_marlin.models.weights.layout import RELEASED_ON_HUB
from lightly_marlin.models.weights.positional_interpolation import interpolate_positions
from lightly_marlin.models.weights.source import WeightsNotFoundError


@pytest.fixture(scope="module")
def reference(toy, make_reference):
    return make_reference(toy)


@pytest.fixture
def state(reference):
    return dict(reference.state_dict())


@pytest.fixture
def critic():
    torch.manual_seed(4)
    return MLP([1536, 48, 1], build_activation=nn.LeakyReLU)


def videomae_names(state):
    """The names that VideoMAE's pretraining gives the same weights, from its source."""
    renames = {
        "encoder.patch_embedding.projection": "encoder.patch_embed.proj",
        "enc_dec_proj": "encoder_to_decoder",
        "decoder.mask_token": "mask_token",
        "mlp.layers.0.linear": "mlp.fc1",
        "mlp.layers.1.linear": "mlp.fc2",
    }
    renamed = {}
    for name, tensor in state.items():
        for old, new in renames.items():
            name = name.replace(old, new)
        if not name.endswith("pos_embedding.emb"):
            renamed[name] = tensor
    for name in ("decoder.head.weight", "decoder.head.bias"):
        rows = renamed[name].unflatten(0, (3, 2, 16, 16))
        renamed[name] = rows.movedim(0, 3).flatten(0, 3)
    return renamed


def hub_folder(state, toy, folder):
    """A repository of the Hub, with the settings that its config.json has there."""
    tensors = {f"marlin.{n}": t.contiguous() for n, t in state.items()}
    save_file(tensors, folder / "model.safetensors")
    settings = {
        "architectures": ["MarlinModel"],
        "as_feature_extractor": True,
        "model_type": "marlin",
        "img_size": toy.img_size,
        "patch_size": toy.patch_size,
        "n_frames": toy.num_frames,
        "tubelet_size": toy.tubelet_size,
        "mlp_ratio": toy.mlp_ratio,
        "qkv_bias": True,
        "norm_layer": "LayerNorm",
        "transformers_version": "4.50.3",
    }
    for part in ("encoder", "decoder"):
        settings[f"{part}_embed_dim"] = getattr(toy, f"{part}_dim")
        settings[f"{part}_depth"] = getattr(toy, f"{part}_depth")
        settings[f"{part}_num_heads"] = getattr(toy, f"{part}_num_heads")
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(
    params=["full", "lightning", "hub", "videomae", "own_folder", "own_training"]
)
def checkpoint(request, state, critic, toy, tmp_path):
    """The same weights in every form that holds a whole model."""
    path = tmp_path / "weights.ckpt"
    scores = {f"discriminator.{n}": t for n, t in critic.state_dict().items()}
    if request.param == "full":
        torch.save(state, path)
    elif request.param == "lightning":
        content = {"state_dict": {**state, **scores}, "hyper_parameters": {"lr": 1e-4}}
        torch.save(content, path)
    elif request.param == "hub":
        return hub_folder(state, toy, tmp_path)
    elif request.param == "videomae":
        torch.save({"model": videomae_names(state), "epoch": 800}, path)
    else:
        return own_checkpoint(request.param, state, toy, tmp_path)
    return path


def own_checkpoint(form, state, toy, folder):
    torch.save(state, folder / "weights.pt")
    model = Marlin(toy)
    load_weights(model, folder / "weights.pt")
    if form == "own_folder":
        model.save_pretrained(folder)
        return folder
    tensors = {f"model.{n}": t for n, t in model.state_dict().items()}
    critic = MarlinDiscriminator(1536, 48).state_dict()
    tensors.update({f"discriminator.{n}": t for n, t in critic.items()})
    torch.save({"state_dict": tensors, "global_step": 10}, folder / "last.ckpt")
    return folder / "last.ckpt"


@torch.no_grad()
def test_whole_models_predict_what_the_reference_predicts(
    checkpoint, reference, toy, toy_videos, split_tokens
):
    model, encoder = Marlin(toy), MarlinEncoder(toy)
    load_weights(model, checkpoint)
    load_weights(encoder, str(checkpoint))
    idx_keep, idx_mask = split_tokens(2, 32, 3)
    visible = torch.zeros(2, 32, dtype=torch.bool).scatter(1, idx_keep, True)
    videos = toy_videos / 255
    torch.testing.assert_close(
        model(videos, idx_keep, idx_mask), reference(videos, visible)
    )
    features = reference.encoder.extract_features(videos, seq_mean_pool=True)
    torch.testing.assert_close(encoder(videos), features)


@torch.no_grad()
def test_hub_folder_tells_its_sizes(state, reference, toy, toy_videos, tmp_path):
    folder = hub_folder(state, toy, tmp_path)
    features = reference.encoder.extract_features(toy_videos / 255, seq_mean_pool=True)
    for model in (
        Marlin.from_pretrained(folder).encoder,
        MarlinEncoder.from_pretrained(folder),
        load_model(folder).encoder,
        load_encoder(folder),
    ):
        assert model.config == toy
        torch.testing.assert_close(model(toy_videos), features)


@pytest.fixture(params=["released", "hub", "own"])
def encoder_checkpoint(request, state, toy, tmp_path):
    """The same weights in every form that holds an encoder alone."""
    path = tmp_path / "encoder.pt"
    state = {n: t for n, t in state.items() if n.startswith("encoder.")}
    torch.save(state, path)
    if request.param == "hub":
        return hub_folder(state, toy, tmp_path)
    if request.param == "own":
        encoder = MarlinEncoder(toy)
        load_weights(encoder, path)
        torch.save(encoder.state_dict(), path)
    return path


@torch.no_grad()
def test_encoders_give_the_features_of_the_reference(
    encoder_checkpoint, reference, toy, toy_videos
):
    encoder = MarlinEncoder(toy)
    load_weights(encoder, encoder_checkpoint)
    features = reference.encoder.extract_features(toy_videos / 255, seq_mean_pool=False)
    torch.testing.assert_close(encoder.encode(toy_videos), features)


def test_an_encoder_is_not_a_whole_model(encoder_checkpoint, toy):
    message = r"missing .*enc_dec_proj.weight, .*decoder.mask_token.*encoder alone"
    with pytest.raises(ValueError, match=message):
        load_weights(Marlin(toy), encoder_checkpoint)


def test_discriminators_are_found(state, critic, tmp_path):
    scores = {f"discriminator.{n}": t for n, t in critic.state_dict().items()}
    torch.save({"state_dict": {**state, **scores}}, tmp_path / "last.ckpt")
    discriminator = MarlinDiscriminator(1536, 48)
    load_weights(discriminator, tmp_path / "last.ckpt")
    patches = torch.rand(2, 5, 1536)
    torch.testing.assert_close(discriminator(patches), critic(patches))


def change(state, form):
    if form == "missing":
        del state["encoder.blocks.1.mlp.layers.0.linear.weight"]
    elif form == "unexpected":
        state["encoder.blocks.0.gamma_1"] = torch.ones(24)
    elif form == "unknown part":
        state["teacher.head.weight"] = torch.ones(24)
    elif form == "shape":
        state["encoder.norm.weight"] = torch.ones(25)
    elif form == "integers":
        state["encoder.norm.weight"] = torch.ones(24, dtype=torch.int32)
    elif form == "kernel":
        name = "encoder.patch_embedding.projection.weight"
        state[name] = state[name].reshape(24, 3, 8, 8, 8)
    else:
        state["decoder.pos_embedding.emb"] = torch.ones(1, 16, 13)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("missing", r"missing encoder.blocks.1.mlp.layers.0.linear.weight\."),
        ("unexpected", r"unexpected encoder.blocks.0.gamma_1\."),
        ("unknown part", r"unexpected teacher.head.weight\."),
        ("shape", r"encoder.norm.weight is \(25,\) instead of \(24,\)"),
        ("integers", r"integers in encoder\.norm\.weight\."),
        ("kernel", r"projection.weight is \(24, 3, 8, 8, 8\) instead of \(24, 1536\)"),
        ("table", r"pos_embedding.emb is \(1, 16, 13\) instead of \(1, 32, 12\)"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(
    form, message, state, toy, tmp_path
):
    change(state, form)
    torch.save(state, tmp_path / "weights.full.pt")
    model = Marlin(toy)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=message) as raised:
        load_weights(model, tmp_path / "weights.full.pt")
    assert "weights.full.pt do not fit Marlin" in str(raised.value)
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())


def test_long_lists_are_cut(state, toy, tmp_path):
    state = {n: t for n, t in state.items() if "blocks" not in n}
    torch.save(state, tmp_path / "weights.full.pt")
    with pytest.raises(ValueError, match=r"missing .* and 29 more\.$"):
        load_weights(Marlin(toy), tmp_path / "weights.full.pt")


def test_sizes_that_shapes_do_not_show(toy, tmp_path):
    values = toy.to_dict()
    Marlin(toy).save_pretrained(tmp_path)
    heads = type(toy)(**{**values, "encoder_num_heads": 3})
    with pytest.raises(ValueError, match="encoder_num_heads is 2 there and 3 here"):
        load_weights(Marlin(heads), tmp_path)
    shallow = type(toy)(**{**values, "decoder_depth": 2})
    load_weights(MarlinEncoder(shallow), tmp_path)


def larger(toy, **changes):
    return type(toy)(**{**toy.to_dict(), **changes})


@pytest.mark.parametrize("form", ["file", "folder"])
@pytest.mark.parametrize("changes", [{"img_size": 64}, {"num_frames": 32}])
def test_positional_embeddings_are_interpolated_and_the_user_is_told(
    form, changes, state, toy, tmp_path
):
    torch.save(state, tmp_path / "weights.full.pt")
    source, small = tmp_path / "weights.full.pt", Marlin(toy)
    load_weights(small, source)
    if form == "folder":
        source = tmp_path
        small.save_pretrained(source)
    model = Marlin(larger(toy, **changes))
    message = (
        rf"for 8x2x2 tokens .* interpolated to {'x'.join(map(str, model.config.grid))}"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        load_weights(model, source)
    assert len(caught) == 1
    for part in ("encoder", "decoder"):
        table = getattr(small, part).pos_embed
        expected = interpolate_positions(table, toy.grid, model.config.grid)
        torch.testing.assert_close(getattr(model, part).pos_embed.data, expected)
    assert torch.equal(
        model.encoder.patch_embed.weight, small.encoder.patch_embed.weight
    )


def test_tables_that_fit_are_not_spoken_of(state, toy, tmp_path, recwarn):
    torch.save(state, tmp_path / "weights.full.pt")
    load_weights(Marlin(toy), tmp_path / "weights.full.pt")
    assert not recwarn.list


def test_a_missing_table_of_unusual_size_is_spoken_of(state, toy, tmp_path):
    torch.save({"model": videomae_names(state)}, tmp_path / "videomae.pth")
    with pytest.warns(
        UserWarning, match="no positional embeddings .* 8x2x2 .* computed"
    ):
        load_weights(Marlin(toy), tmp_path / "videomae.pth")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("released", "tubelets of 2x16x16 pixels, the model is for 2x8x8"),
        ("ours", "tubelets of 1536 values, the model is for 384"),
    ],
)
def test_weights_for_another_patch_size_are_refused(
    form, message, state, toy, tmp_path, recwarn
):
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    if form == "ours":
        model = Marlin(toy)
        load_weights(model, path)
        torch.save(model.state_dict(), path)
    with pytest.raises(ValueError, match=rf"{message}: set .*patch_size"):
        load_weights(MarlinEncoder(larger(toy, patch_size=8)), path)
    assert not recwarn.list


@pytest.fixture
def reads(monkeypatch):
    """Files whose tensors were read, by any way into them."""
    paths = []

    def counting(place, name):
        read = getattr(place, name)

        def count(source, *rest, **options):
            paths.append(Path(getattr(source, "name", source)).name)
            return read(source, *rest, **options)

        monkeypatch.setattr(place, name, count)

    counting(state_dict, "load_file")
    counting(torch, "load")
    return paths


WAYS = {
    "load_weights": lambda path, toy: load_weights(MarlinEncoder(toy), path),
    "load_encoder": lambda path, toy: load_encoder(path),
    "load_model": lambda path, toy: load_model(path),
    "from_pretrained": lambda path, toy: Marlin.from_pretrained(path),
}


@pytest.mark.parametrize("way", WAYS)
def test_tensors_are_read_once(way, toy, reads, tmp_path):
    Marlin(toy).save_pretrained(tmp_path)
    WAYS[way](tmp_path, toy)
    assert reads == ["model.safetensors"]


@pytest.mark.parametrize("load", [load_encoder, load_model])
def test_a_pickle_is_opened_once(load, reads, tmp_path, monkeypatch):
    torch.save(create_marlin("marlin_vit_tiny").state_dict(), tmp_path / "tiny.pt")
    opened, open_path = [], Path.open

    def count(path, *arguments, **options):
        opened.append(path.name)
        return open_path(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", count)
    load(tmp_path / "tiny.pt")
    assert reads == opened == ["tiny.pt"]


def test_what_is_known_of_a_checkpoint(state, toy, tmp_path):
    checkpoint = Checkpoint.open(hub_folder(state, toy, tmp_path))
    assert checkpoint.path == tmp_path / "model.safetensors"
    assert checkpoint.layout is RELEASED_ON_HUB
    assert checkpoint.config == checkpoint.architecture() == toy
    assert checkpoint.parts == {"encoder", "enc_dec_proj", "decoder"}
    assert set(checkpoint.tensors) == set(Marlin(toy).state_dict())


@pytest.mark.parametrize("has_config", [True, False])
def test_a_repository_tells_its_configuration(has_config, toy, tmp_path, monkeypatch):
    Marlin(toy).save_pretrained(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "config.json").rename(tmp_path / "elsewhere" / "config.json")

    def find(source, name="model.safetensors"):
        if name == "config.json" and not has_config:
            raise WeightsNotFoundError("404")
        return tmp_path / ("elsewhere" if name == "config.json" else "") / name

    monkeypatch.setattr(module, "locate", find)
    monkeypatch.setattr(config_file, "locate", find)
    assert Checkpoint.open("owner/name").config == (toy if has_config else None)
