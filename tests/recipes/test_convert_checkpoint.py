import os
import runpy
from pathlib import Path

import pytest
import torch
from marlin_pytorch import Marlin as ReferenceMarlin

from lightly_marlin.models import Marlin, MarlinEncoder, create_marlin
from lightly_marlin.utils.console import run_recipe

RECIPE = Path(__file__).parents[2] / "recipes" / "convert_checkpoint.py"


class Hostile:
    """Makes a folder when it is unpickled by a reader that runs code."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope="module")
def convert():
    main = runpy.run_path(str(RECIPE))["main"]
    return lambda *options: run_recipe(lambda: main([str(x) for x in options]))


@pytest.fixture(scope="module")
def run_model(tmp_path_factory):
    """A folder as training leaves it, of a size that marlin-pytorch knows."""
    torch.manual_seed(6)
    model = create_marlin("marlin_vit_small").eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)
    path = tmp_path_factory.mktemp("run") / "model"
    model.save_pretrained(path)
    return path


@torch.no_grad()
def test_what_is_trained_here_loads_in_marlin_pytorch_and_comes_back(
    convert, run_model, tmp_path
):
    released = tmp_path / "small.full.pt"
    assert convert(run_model, released) == 0
    reference = ReferenceMarlin.from_file("marlin_vit_small_ytf", str(released))
    model, clip = Marlin.from_pretrained(run_model), torch.rand(1, 3, 16, 224, 224)
    torch.testing.assert_close(
        reference.encoder.extract_features(clip, seq_mean_pool=True),
        model.encoder(clip),
        rtol=0,
        atol=1e-5,
    )
    assert convert(released, tmp_path / "back") == 0
    again = Marlin.from_pretrained(tmp_path / "back").state_dict()
    assert all(torch.equal(again[n], t) for n, t in model.state_dict().items())


def test_encoders_alone(convert, run_model, tmp_path, capsys):
    released = tmp_path / "small.encoder.pt"
    assert convert(run_model, released) == 0
    assert "Wrote the encoder (22.5 million" in capsys.readouterr().out
    assert all(name.startswith("encoder.") for name in torch.load(released))
    assert convert(released, tmp_path / "encoder") == 0
    MarlinEncoder.from_pretrained(tmp_path / "encoder")


def failing_arguments(run_model, folder):
    encoder = folder / "tiny.encoder.pt"
    torch.save(
        MarlinEncoder(create_marlin("marlin_vit_tiny").config).state_dict(), encoder
    )
    (folder / "taken").mkdir()
    (folder / "taken" / "file").touch()
    (folder / "cut.safetensors").write_bytes(
        (run_model / "model.safetensors").read_bytes()[:1000]
    )
    (folder / "pointer.pt").write_text("version https://git-lfs.github.com/spec/v1\n")
    torch.save({"code": Hostile(folder / "x"), "state_dict": {}}, folder / "code.pt")
    torch.save(
        {"cls_token": torch.ones(1), "norm.bias": torch.ones(1)}, folder / "v.pt"
    )
    return {
        "nowhere": ([folder / "nowhere", folder / "x"], "no file or folder"),
        "encoder to full": ([encoder, folder / "x.full.pt"], "encoder alone"),
        "unknown kind": ([run_model, folder / "x.pt"], "Unknown kind of target"),
        "taken": ([run_model, folder / "taken"], "--force"),
        "model": ([encoder, folder / "x", "--model", "marlin_vit_small"], "do not fit"),
        "cut": ([folder / "cut.safetensors", folder / "x"], "damaged, incomplete"),
        "no folder": ([run_model, encoder / "x"], "Cannot write"),
        "pointer": ([folder / "pointer.pt", folder / "x"], "git lfs pull"),
        "code": ([folder / "code.pt", folder / "x"], "Refused to read"),
        "other": ([folder / "v.pt", folder / "x"], "with weights such as cls_token"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "nowhere",
        "encoder to full",
        "unknown kind",
        "taken",
        "model",
        "cut",
        "no folder",
        "pointer",
        "code",
        "other",
    ],
)
def test_bad_arguments(case, convert, run_model, tmp_path, capsys):
    arguments, message = failing_arguments(run_model, tmp_path)[case]
    assert convert(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "x").exists()


def test_force_replaces(convert, run_model, tmp_path):
    target = tmp_path / "small.encoder.pt"
    target.touch()
    assert convert(run_model, target, "--force") == 0
    assert target.stat().st_size > 1e6
