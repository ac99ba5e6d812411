"""An encoder as a part of something else: found, and the rest named."""

import copy
import re

import pytest
import pytorch_lightning as pl
import timm
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset

from lightly_marlin.models import (
    Marlin,
    MarlinEncoder,
    create_marlin,
    create_marlin_encoder,
    load_encoder,
    load_weights,
)
from lightly_marlin.models.weights.checkpoint import Checkpoint
from lightly_marlin.models.weights.layout import RELEASED, VIDEOMAE
from lightly_marlin.models.weights.released_layout import released_state
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def model(toy):
    torch.manual_seed(3)
    return Marlin(toy)


@pytest.fixture
def encoder(model):
    """An encoder whose biases are its own, too."""
    for parameter in model.parameters():
        parameter.data.add_(torch.rand(()))
    return model.encoder


def prefixed(prefix, module):
    state = module if isinstance(module, dict) else module.state_dict()
    return {prefix + name: tensor for name, tensor in state.items()}


def check(source, encoder, left_out, toy):
    """Loads the encoder alone, which must be `encoder`; the warning names the rest."""
    loaded = MarlinEncoder(toy)
    with pytest.warns(UserWarning, match=r"holds more than a MarlinEncoder") as caught:
        load_weights(loaded, source)
    assert len(caught) == 1
    named = str(caught[0].message).partition("left out: ")[2].removesuffix(".")
    assert sorted(named.split(", ")) == sorted(left_out.split(", "))
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


class Net(nn.Module):
    """An encoder in a user's network, under the name that they gave it."""

    def __init__(self, name, encoder):
        super().__init__()
        self.add_module(name, encoder)
        self.head = nn.Linear(24, 3)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("name", ["model", "encoder", "backbone", "video_encoder"])
def test_beside_a_head(name, suffix, encoder, toy, tmp_path):
    state, path = Net(name, encoder).state_dict(), tmp_path / f"tuned.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    check(path, encoder, "head.weight, head.bias", toy)


def test_blocks_of_pytorchvideo(encoder, toy, tmp_path):
    blocks = nn.ModuleDict({"blocks": nn.ModuleList([encoder, nn.Linear(24, 3)])})
    torch.save(blocks.state_dict(), tmp_path / "model.pt")
    check(tmp_path / "model.pt", encoder, "blocks.1.weight, blocks.1.bias", toy)


def test_a_head_on_the_encoder_itself(encoder, toy, tmp_path):
    tuned = copy.deepcopy(encoder)
    tuned.head = nn.Linear(24, 3)
    torch.save(tuned.state_dict(), tmp_path / "tuned.pt")
    check(tmp_path / "tuned.pt", encoder, "head.weight, head.bias", toy)


@pytest.mark.parametrize("part", ["encoder", "model"])
def test_averaged_models(part, model, encoder, toy, tmp_path):
    averaged = AveragedModel(encoder if part == "encoder" else model)
    torch.save(averaged.state_dict(), tmp_path / "averaged.pt")
    check(tmp_path / "averaged.pt", encoder, "n_averaged", toy)


@pytest.mark.parametrize("form", ["ours", "released", "hub", "videomae", "training"])
def test_whole_models_of_every_layout(form, model, encoder, toy, tmp_path):
    state = dict(model.state_dict())
    if form in ("released", "hub"):
        state = released_state(model)
    elif form == "videomae":
        state = {VIDEOMAE.theirs(name): tensor for name, tensor in state.items()}
        for name in ("decoder.head.weight", "decoder.head.bias"):
            rows = state[name].unflatten(0, (3, 2, 16, 16))
            state[name] = rows.movedim(0, 3).flatten(0, 3)
    prefix = {"hub": "marlin.", "training": "model."}.get(form, "")
    content = {**prefixed(f"net.{prefix}", state), "head.weight": torch.ones(3)}
    torch.save({"state_dict": content}, tmp_path / "tuned.ckpt")
    check(tmp_path / "tuned.ckpt", encoder, "head.weight", toy)
    whole = Marlin(toy)
    with pytest.warns(UserWarning, match=r"more than a Marlin; left out: head\.weight"):
        load_weights(whole, tmp_path / "tuned.ckpt")
    for name, tensor in model.state_dict().items():
        assert torch.equal(whole.state_dict()[name], tensor), name


def test_the_classifier_of_the_original(encoder, toy, tmp_path):
    """MARLIN's own fine-tuning keeps the encoder as `model`, without its prefix."""
    names = {n.removeprefix("encoder."): t for n, t in released_state(encoder).items()}
    head = prefixed("fc.", nn.Linear(24, 3))
    content = {"state_dict": {**prefixed("model.", names), **head}, "epoch": 4}
    torch.save(content, tmp_path / "celebvhq.ckpt")
    check(tmp_path / "celebvhq.ckpt", encoder, "fc.weight, fc.bias", toy)


@pytest.mark.parametrize(
    "prefix",
    [
        "model.",
        "module.module.net.encoder.",
        "_orig_mod.module.net.encoder.",
        "net._orig_mod.module.encoder.",
        "_fsdp_wrapped_module.net._fsdp_wrapped_module.encoder.",
    ],
)
def test_any_prefix_before_everything(prefix, encoder, toy, tmp_path, recwarn):
    torch.save(prefixed(prefix, encoder), tmp_path / "wrapped.pt")
    loaded = MarlinEncoder(toy)
    load_weights(loaded, tmp_path / "wrapped.pt")
    assert torch.equal(loaded.norm.bias, encoder.norm.bias)
    assert not recwarn.list


def test_activation_checkpointing_inside(encoder, toy, tmp_path):
    state = {
        re.sub(r"^(blocks\.\d+)", r"net.\1._checkpoint_wrapped_module", name): tensor
        for name, tensor in encoder.state_dict().items()
    }
    state = {n if n.startswith("net.") else f"net.{n}": t for n, t in state.items()}
    torch.save({**state, "head.bias": torch.ones(3)}, tmp_path / "tuned.pt")
    check(tmp_path / "tuned.pt", encoder, "head.bias", toy)


@pytest.mark.parametrize("entry", ["encoder", "student", "weights"])
def test_entries_of_any_name(entry, encoder, toy, tmp_path):
    optimizer = {"state": {0: {"step": torch.ones(())}}, "param_groups": []}
    content = {"epoch": 3, entry: encoder.state_dict(), "optimizer": optimizer}
    content["head"] = {"weight": torch.ones(3, 24)}
    torch.save(content, tmp_path / "last.pt")
    check(tmp_path / "last.pt", encoder, "head.weight", toy)


TWO = {
    "prefixes": (("student.encoder.", "teacher.encoder."), None),
    "beside": (("encoder.", "momentum_encoder."), None),
    "entries": (("student.", "teacher."), "epoch"),
    "ema": (("model.", "ema."), "epoch"),
    "nested": (("state.model.", "state.ema."), "step"),
}


@pytest.fixture(params=TWO)
def two(request, encoder, toy, tmp_path):
    """Path, the prefixes of two encoders in it, and the second encoder."""
    prefixes, counter = TWO[request.param]
    second = MarlinEncoder(toy)
    if counter is None:
        states = map(prefixed, prefixes, (encoder, second))
        content = {name: t for state in states for name, t in state.items()}
    else:
        content = {counter: 3}
        for prefix, module in zip(prefixes, (encoder, second), strict=True):
            *outer, entry = prefix.removesuffix(".").split(".")
            place = content
            for name in outer:
                place = place.setdefault(name, {})
            place[entry] = module.state_dict()
    torch.save(content, tmp_path / "two.pt")
    return tmp_path / "two.pt", [p.removesuffix(".") for p in prefixes], second


def test_two_are_an_error_that_names_both(two, toy):
    path, (first, second), _ = two
    message = rf"two\.pt hold 2 complete encoders, under {first} and {second}\. Choose "
    with pytest.raises(UsageError, match=f"{message}.*two.pt#{second}$"):
        load_weights(MarlinEncoder(toy), path)


def test_one_of_two_is_chosen_by_its_prefix(two, encoder, toy):
    path, (first, second), other = two
    for prefix, wanted in ((first, encoder), (f"{second}.", other)):
        loaded = MarlinEncoder(toy)
        with pytest.warns(UserWarning, match="more than a MarlinEncoder"):
            load_weights(loaded, f"{path}#{prefix}")
        assert torch.equal(loaded.patch_embed.weight, wanted.patch_embed.weight)


def test_a_choice_that_is_not_there(two, toy):
    path, (first, second), _ = two
    with pytest.raises(UsageError, match=f"no encoder under 'x' .*{first}, {second}"):
        load_weights(MarlinEncoder(toy), f"{path}#x")


def test_first_parts_of_a_prefix_choose(encoder, toy, tmp_path):
    state = {
        **prefixed("student.encoder.", encoder),
        **prefixed("", MarlinEncoder(toy)),
    }
    torch.save(state, tmp_path / "two.pt")
    with pytest.raises(UsageError, match=r"under no prefix and student\.encoder"):
        load_weights(MarlinEncoder(toy), tmp_path / "two.pt")
    for prefix, norm in (("student", encoder.norm.bias), ("", torch.zeros(24))):
        loaded = MarlinEncoder(toy)
        with pytest.warns(UserWarning, match="more than a MarlinEncoder"):
            load_weights(loaded, f"{tmp_path}/two.pt#{prefix}")
        assert torch.equal(loaded.norm.bias, norm)


def test_a_name_with_the_sign_is_a_name(encoder, toy, tmp_path):
    torch.save(encoder.state_dict(), tmp_path / "run#2.pt")
    loaded = MarlinEncoder(toy)
    load_weights(loaded, tmp_path / "run#2.pt")
    assert torch.equal(loaded.norm.bias, encoder.norm.bias)


def test_two_names_of_one_module_are_one(model, encoder, toy, tmp_path):
    class Training(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.net = model.encoder, model

    torch.save(Training().state_dict(), tmp_path / "tied.pt")
    whole = Marlin(toy)
    with pytest.warns(UserWarning, match=r"left out: features\.pos_embed, features\."):
        load_weights(whole, tmp_path / "tied.pt")
    assert torch.equal(whole.encoder.norm.bias, encoder.norm.bias)


class Tuning(pl.LightningModule):
    """A user's fine-tuning, as short as it gets."""

    def __init__(self, encoder):
        super().__init__()
        self.net = Net("encoder", encoder)

    def training_step(self, batch, _):
        return self.net.head(self.net.encoder(batch[0])).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_averages_of_lightning_are_taken(encoder, toy, toy_videos, tmp_path):
    module = Tuning(encoder)
    trainer = pl.Trainer(
        max_epochs=1,
        callbacks=[EMAWeightAveraging(decay=0.5)],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(TensorDataset(toy_videos / 255)))
    (path,) = (tmp_path / "checkpoints").glob("*.ckpt")
    content = torch.load(path, weights_only=True)
    averages, last = content["state_dict"], content["current_model_state"]
    name = "net.encoder.norm.bias"
    assert not torch.equal(averages[name], last[name])
    loaded = MarlinEncoder(toy)
    with pytest.warns(UserWarning, match=r"left out: net\.head\.weight, net\.head"):
        load_weights(loaded, path)
    assert torch.equal(loaded.norm.bias, averages[name])


def test_the_architecture_is_inferred(tmp_path):
    tuned = Net("backbone", create_marlin_encoder("marlin_vit_tiny"))
    torch.save(tuned.state_dict(), tmp_path / "tuned.pt")
    with pytest.warns(UserWarning, match="left out: head"):
        loaded = load_encoder(tmp_path / "tuned.pt")
    assert torch.equal(loaded.norm.weight, tuned.backbone.norm.weight)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("blocks.1.mlp.fc1.bias", r"missing backbone\.blocks\.1\.mlp\.fc1\.bias\."),
        ("norm.weight", r"missing backbone\.norm\.weight\."),
    ],
)
def test_an_incomplete_one_is_refused_by_its_names(
    spoil, message, encoder, toy, tmp_path
):
    state = Net("backbone", encoder).state_dict()
    del state[f"backbone.{spoil}"]
    torch.save(state, tmp_path / "tuned.pt")
    with pytest.raises(UsageError, match=message):
        load_weights(MarlinEncoder(toy), tmp_path / "tuned.pt")


def test_what_an_encoder_would_compute_with_is_unexpected(encoder, toy, tmp_path):
    state = Net("backbone", encoder).state_dict()
    state["backbone.fc_norm.weight"] = torch.ones(24)
    torch.save(state, tmp_path / "tuned.pt")
    with pytest.raises(UsageError, match=r"unexpected backbone\.fc_norm\.weight\."):
        load_weights(MarlinEncoder(toy), tmp_path / "tuned.pt")


def test_a_complete_one_beside_another_architecture(encoder, toy, tmp_path):
    face = timm.create_model("resnet10t", num_classes=0)
    state = {**prefixed("image.", face), **prefixed("video.", encoder)}
    torch.save(state, tmp_path / "fused.pt")
    count = len(face.state_dict()) - 10
    first = ", ".join(f"image.{name}" for name in list(face.state_dict())[:10])
    check(tmp_path / "fused.pt", encoder, f"{first} and {count} more", toy)


def test_other_architectures_in_a_network(tmp_path):
    vit = timm.create_model("vit_tiny_patch16_224")
    torch.save({"epoch": 1, "backbone": vit.state_dict()}, tmp_path / "vit.pt")
    with pytest.raises(UsageError, match=r"Unknown kind of checkpoint .*as timm"):
        create_marlin_encoder("marlin_vit_tiny", weights=tmp_path / "vit.pt")
    torch.save({"state_dict": {}, "image": vit.state_dict()}, tmp_path / "vit.pt")
    with pytest.raises(UsageError, match=r"Unknown kind of checkpoint .*as timm"):
        Checkpoint.open(tmp_path / "vit.pt")


def test_no_encoder_at_all(tmp_path):
    state = create_marlin("marlin_vit_tiny").decoder.state_dict()
    names = {RELEASED.theirs(f"decoder.{name}"): t for name, t in state.items()}
    torch.save(names, tmp_path / "decoder.pt")
    with pytest.raises(UsageError, match="those of no whole encoder"):
        load_encoder(tmp_path / "decoder.pt")
