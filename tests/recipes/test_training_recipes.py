"""Small training recipes: each runs, learns, and leaves weights that load."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
import transformers
from safetensors.torch import load_file

from lightly_marlin.models import Marlin, MarlinEncoder
from lightly_marlin.utils.console import run_recipe

RECIPES = Path(__file__).parents[2] / "recipes"

FRAMES = (
    "fasking_in_lightly_mae",
    "fasking_in_hf_vitmae",
    "fasking_in_timm_vit",
    "kernels_in_lightly_loop",
)
CLIPS = ("fasking_in_hf_videomae", "marlin_pytorch_loop", "marlin_lightning")
FEATURES = ("latent_in_lightly_loop", "contrast_in_lightly_loop")


@pytest.fixture(scope="module")
def run(load_recipe, tiny_store, tmp_path_factory):
    """Runs a recipe on the tiny store; returns its folder."""

    def start(name, *options, steps=2, batch=2):
        out = tmp_path_factory.mktemp(name) / "run"
        sizes = ("--max-steps", steps, "--batch-size", batch)
        arguments = [*sizes, "--store", tiny_store, "--out", out, *options]
        main = load_recipe(name).main
        assert run_recipe(lambda: main([str(part) for part in arguments])) == 0
        return out

    return start


def losses(out):
    with (out / "metrics.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", FRAMES)
def test_recipe_learns_frames(name, run):
    """The loss falls by a third in 20 steps; without a learning rate it does not."""
    learned = losses(run(name, steps=20, batch=4))
    stayed = losses(run(name, "--learning-rate", 0, steps=5, batch=4))
    assert learned[-1] < 0.66 * learned[0]
    assert stayed[-1] > 0.8 * stayed[0]


@pytest.mark.parametrize("name", CLIPS)
def test_recipe_learns_clips(name, run):
    """Beside an untrained model on as many clips of the same three tracks."""
    learned = losses(run(name, steps=8))
    (untrained,) = losses(run(name, "--learning-rate", 0, steps=1))
    assert learned[-1] < 0.85 * untrained


@pytest.mark.parametrize(
    ("name", "steps"),
    [("latent_in_lightly_loop", 10), ("contrast_in_lightly_loop", 12)],
)
def test_recipe_learns_features(name, steps, run):
    learned = losses(run(name, steps=steps))
    stayed = losses(run(name, "--learning-rate", 0, steps=1))
    assert learned[-1] < 0.66 * stayed[0]


@pytest.mark.parametrize("name", [*FRAMES, *FEATURES, "fasking_in_hf_videomae"])
def test_recipe_repeats_with_its_seed(name, run):
    first, again = (losses(run(name, "--seed", 3)) for _ in range(2))
    (other,) = losses(run(name, "--seed", 4, steps=1))
    assert first == again
    assert first[0] != other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--store", "nowhere"), "nowhere"),
        (("--max-steps", "0"), "max_steps 0: must be at least 1"),
        (("--learning-rate", "nan"), "learning_rate nan: must be 0 or more"),
        (("--seed", "-1"), "--seed"),
        (("--out", "/dev/null/run"), "cannot be written"),
    ],
)
@pytest.mark.parametrize("name", ["fasking_in_timm_vit", "marlin_lightning"])
def test_recipe_bad_arguments(name, options, message, load_recipe, tiny_store, capsys):
    main = load_recipe(name).main
    arguments = ["--store", str(tiny_store), *options]
    assert run_recipe(lambda: main(arguments)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_fasking_in_timm_vit__encoder_loads_into_timm(run):
    out = run("fasking_in_timm_vit")
    vit = timm.create_model("vit_tiny_patch16_224", depth=4, num_classes=0)
    vit.load_state_dict(load_file(out / "encoder.safetensors"))
    assert vit(torch.zeros(1, 3, 224, 224)).shape == (1, 192)


def test_fasking_in_lightly_mae__weights_load(run, load_recipe):
    model = load_recipe("fasking_in_lightly_mae").MAE()
    path = run("fasking_in_lightly_mae") / "model.pt"
    model.load_state_dict(torch.load(path, weights_only=True))


def test_fasking_in_hf_vitmae__keeps_what_fasking_keeps(run, load_recipe, monkeypatch):
    """The model's own mask is Fasking's, patch by patch."""
    seen = []
    forward = transformers.ViTMAEForPreTraining.forward

    def spy(model, images, noise):
        output = forward(model, images, noise=noise)
        seen.append((noise, output.mask))
        return output

    monkeypatch.setattr(transformers.ViTMAEForPreTraining, "forward", spy)
    out = run("fasking_in_hf_vitmae")
    assert len(seen) == 2
    assert all(torch.equal(noise, mask) for noise, mask in seen)
    assert (seen[0][0].sum(dim=1) == 147).all()
    loaded = transformers.ViTMAEModel.from_pretrained(out / "model")
    assert loaded.config.hidden_size == 192


def test_fasking_in_hf_videomae__loss_is_of_masked_pixels(run, monkeypatch):
    """1412 tokens are masked, and the loss can get back the pixels of the store."""
    seen = []
    forward = transformers.VideoMAEForPreTraining.forward

    def spy(model, pixels, bool_masked_pos):
        output = forward(model, pixels, bool_masked_pos=bool_masked_pos)
        seen.append((pixels, bool_masked_pos, output.logits.shape))
        return output

    monkeypatch.setattr(transformers.VideoMAEForPreTraining, "forward", spy)
    out = run("fasking_in_hf_videomae")
    pixels, masked, shape = seen[0]
    assert pixels.shape == (2, 16, 3, 224, 224)
    assert (masked.sum(dim=1) == 1412).all()
    assert shape == (2, 1412, 1536)
    std = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
    mean = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
    grey_levels = (pixels * std + mean) * 255
    torch.testing.assert_close(grey_levels, grey_levels.round(), atol=1e-2, rtol=0)
    transformers.VideoMAEModel.from_pretrained(out / "model")


def test_kernels_in_lightly_loop__refuses_other_results(run, load_recipe, monkeypatch):
    module = load_recipe("kernels_in_lightly_loop")
    model = module.FusedMAE()
    images = torch.rand(1, 3, 224, 224)
    kept, masked = torch.arange(50)[None], torch.arange(50, 197)[None]
    model.check(images, kept, masked)
    shifted = lambda tokens, idx, pos: tokens[:, 1 : idx.shape[1] + 1]  # noqa: E731
    monkeypatch.setattr(module, "gather_tokens", shifted)
    with pytest.raises(AssertionError):
        model.check(images, kept, masked)


def test_latent_in_lightly_loop__teacher_follows_the_student(
    run, load_recipe, monkeypatch
):
    """After the step, by the momentum of the schedule; targets are of all tokens."""
    module = load_recipe("latent_in_lightly_loop")
    momenta, shapes = [], []
    update, forward = module.EmaTeacher.update, module.LatentPredictionLoss.forward

    def watch_update(teacher, student, momentum):
        momenta.append(momentum)
        update(teacher, student, momentum)

    def watch_loss(criterion, pred, tokens, idx):
        shapes.append((pred.shape, tokens.shape, idx.shape))
        return forward(criterion, pred, tokens, idx)

    monkeypatch.setattr(module.EmaTeacher, "update", watch_update)
    monkeypatch.setattr(module.LatentPredictionLoss, "forward", watch_loss)
    out = run("latent_in_lightly_loop")
    assert momenta == pytest.approx([0.996, 0.998])
    assert shapes == 2 * [((2, 147, 192), (2, 197, 192), (2, 147))]
    vit = timm.create_model("vit_tiny_patch16_224", depth=4, num_classes=0)
    backbone = module.MaskedVisionTransformerTIMM(vit=vit)
    backbone.load_state_dict(torch.load(out / "model.pt", weights_only=True))


def test_contrast_in_lightly_loop__encoder_loads(run):
    out = run("contrast_in_lightly_loop", steps=1)
    encoder = MarlinEncoder.from_pretrained(out / "encoder")
    assert encoder.embed_dim == 192


@pytest.mark.parametrize(
    ("batch", "message"), [(1, "raise --batch-size to 2"), (4, "there are 3 groups")]
)
def test_contrast_in_lightly_loop__batches_that_cannot_be(
    batch, message, load_recipe, tiny_store, capsys
):
    main = load_recipe("contrast_in_lightly_loop").main
    arguments = ["--store", str(tiny_store), "--batch-size", str(batch)]
    assert run_recipe(lambda: main(arguments)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["marlin_pytorch_loop", "marlin_lightning"])
def test_marlin_recipes__model_loads(name, run):
    model = Marlin.from_pretrained(run(name, steps=1) / "model")
    assert model.config.encoder_dim == 192


def test_hf_recipes__say_what_to_install(load_recipe, monkeypatch, tiny_store):
    monkeypatch.setitem(sys.modules, "transformers", None)
    main = load_recipe("fasking_in_hf_vitmae").main
    with pytest.raises(ModuleNotFoundError, match=r"lightly-marlin\[hf\]"):
        main(["--store", str(tiny_store)])


def test_marlin_distributed__two_processes_learn(
    tiny_store, tmp_path, run, warm_python
):
    """Two processes with a clip each, beside an untrained model in one."""
    out = tmp_path / "learned"
    command = [warm_python, RECIPES / "marlin_distributed.py", "--devices", 2]
    command += ["--store", tiny_store, "--out", out, "--batch-size", 1]
    command = [str(part) for part in (*command, "--max-steps", 8)]
    done = subprocess.run(command, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Of two processes, one speaks.
    assert done.stdout.count("weights in model/") == 1
    (untrained,) = losses(run("marlin_distributed", "--learning-rate", 0, steps=1))
    assert losses(out)[-1] < 0.85 * untrained
    assert Marlin.from_pretrained(out / "model")


def test_marlin_distributed__more_devices_than_there_are(
    load_recipe, tiny_store, capsys
):
    main = load_recipe("marlin_distributed").main
    arguments = ["--store", str(tiny_store), "--devices", "4000"]
    assert run_recipe(lambda: main(arguments)) == 2
    assert "Lower --devices" in capsys.readouterr().err
