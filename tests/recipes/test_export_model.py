"""Exports from the command line, read back without the package."""

import builtins
import json
import runpy
from pathlib import Path

import pytest
import torch

from lightly_marlin.models import MarlinConfig, MarlinEncoder
from lightly_marlin.models.executorch_program import read_executorch
from lightly_marlin.utils.console import run_recipe

RECIPE = Path(__file__).parents[2] / "recipes" / "export_model.py"


@pytest.fixture(scope="module")
def module():
    return runpy.run_path(str(RECIPE))


@pytest.fixture(scope="module")
def export(module):
    return lambda *options: run_recipe(
        lambda: module["main"]([str(x) for x in options])
    )


def randomised(depth):
    torch.manual_seed(0)
    sizes = {"encoder_dim": 48, "encoder_depth": depth, "encoder_num_heads": 2}
    model = MarlinEncoder(MarlinConfig(img_size=32, **sizes))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn(parameter.shape)
    return model.eval()


@pytest.fixture(scope="module")
def encoder():
    return randomised(depth=2)


@pytest.fixture(scope="module")
def weights(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model"
    encoder.save_pretrained(path)
    return path


def clips(batch_size):
    size = (batch_size, 3, 16, 32, 32)
    generator = torch.Generator().manual_seed(batch_size)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


@torch.no_grad()
def test_program_and_int8(export, encoder, weights, tmp_path):
    arguments = (tmp_path, "--weights", weights, "--formats", "program", "int8")
    assert export(*arguments) == 0
    program = torch.export.load(tmp_path / "encoder.pt2").module()
    int8 = torch.jit.load(tmp_path / "encoder_int8.pt")
    for batch_size in (1, 2, 5):
        videos = clips(batch_size)
        expected = encoder(videos)
        torch.testing.assert_close(program(videos), expected, rtol=0, atol=1e-4)
        assert torch.cosine_similarity(int8(videos), expected).min() > 0.99
    result = json.loads((tmp_path / "export.json").read_text())
    assert result["int8"]["mib"] < result["program"]["mib"] / 2
    assert result["int8"]["largest_difference"] > 0
    assert all(row["seconds"] > 0 for row in result.values())


@torch.no_grad()
def test_onnx(export, encoder, weights, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    arguments = (tmp_path, "--weights", weights, "--formats", "onnx", "--keep-seq")
    assert export(*arguments) == 0
    session = runtime.InferenceSession(str(tmp_path / "encoder.onnx"))
    assert session.get_inputs()[0].shape[1:] == [3, 16, 32, 32]
    for batch_size in (1, 3):
        videos = clips(batch_size)
        (tokens,) = session.run(["features"], {"videos": videos.numpy()})
        expected = encoder.encode(videos)
        torch.testing.assert_close(torch.from_numpy(tokens), expected)


@torch.no_grad()
def test_executorch(export, tmp_path):
    pytest.importorskip("executorch.runtime", exc_type=ImportError)
    # Lowering takes seconds a block.
    encoder, weights = randomised(depth=1), tmp_path / "weights"
    encoder.save_pretrained(weights)
    formats = ("--formats", "executorch", "executorch_int8", "--batch-size", 3)
    assert export(tmp_path, "--weights", weights, *formats) == 0
    for name in ("encoder", "encoder_int8"):
        encode = read_executorch(tmp_path / f"{name}.pte")
        for batch_size in (1, 3):
            videos = clips(batch_size)
            cosine = torch.cosine_similarity(encode(videos), encoder(videos))
            assert cosine.min() > 0.99
    result = json.loads((tmp_path / "export.json").read_text())
    assert result["executorch"]["largest_difference"] < 1e-4
    assert result["executorch_int8"]["mib"] < result["executorch"]["mib"] / 2


def test_a_single_clip_is_enough(export, weights, tmp_path):
    arguments = ("--weights", weights, "--formats", "program", "--batch-size", "1")
    assert export(tmp_path, *arguments) == 0
    # The weights and little else: no example input.
    size = (tmp_path / "encoder.pt2").stat().st_size
    assert size < 1.2 * (weights / "model.safetensors").stat().st_size + 2**17


def test_a_folder_that_cannot_be_written(export, weights, tmp_path, capsys):
    (tmp_path / "taken").touch()
    arguments = ("--weights", weights, "--formats", "program")
    assert export(tmp_path / "taken" / "out", *arguments) == 2
    assert "Cannot write to" in capsys.readouterr().err


def test_wrong_exports_are_removed(module, export, weights, tmp_path, monkeypatch):
    export_program = module["EXPORTS"]["program"]

    def spoil(plain, videos, folder):
        plain.norm.bias += 0.1
        return export_program(plain, videos, folder)

    monkeypatch.setitem(module["EXPORTS"], "program", spoil)
    assert export(tmp_path, "--weights", weights, "--formats", "program") == 1
    assert not (tmp_path / "encoder.pt2").exists()
    difference = json.loads((tmp_path / "export.json").read_text())["program"]
    assert difference["largest_difference"] > 0.09


def test_missing_packages_are_named(export, weights, tmp_path, monkeypatch, capsys):
    def no_onnx(name, *rest, real=builtins.__import__):
        if name.startswith("onnx"):
            raise ModuleNotFoundError(name=name)
        return real(name, *rest)

    monkeypatch.setattr("importlib.import_module", no_onnx)
    assert export(tmp_path / "out", "--weights", weights) == 2
    error = capsys.readouterr().err
    assert 'pip install "lightly-marlin[export]"' in error
    assert "--formats program int8" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch-size", "0"], "Invalid batch_size 0"),
        (["--formats", "tflite"], "invalid choice"),
        (["--weights", "gone.pt", "--formats", "int8"], "no file or folder gone.pt"),
    ],
)
def test_bad_arguments(options, message, export, weights, tmp_path, capsys):
    assert export(tmp_path / "out", "--weights", weights, *options) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
