"""The benchmarks are a program too: it runs, refuses wrong results, and writes JSON."""

import builtins
import json
import os

import pytest
import torch
from PIL import Image

from lightly_marlin.kernels.benchmarks import __main__ as benchmarks
from lightly_marlin.kernels.benchmarks import (
    graph,
    readme,
    suite,
    tune,
)
from lightly_marlin.kernels.benchmarks.cases import make_cases
from lightly_marlin.kernels.benchmarks.report import make_rows, print_report
from lightly_marlin.kernels.benchmarks.traffic import (
    OPERATIONS,
    expected_microseconds,
    minimal_bytes,
)
from lightly_marlin.kernels.benchmarks.verify import TOLERANCE, largest_error
from lightly_marlin.kernels.benchmarks.workload import PRETRAINING, TINY
from lightly_marlin.kernels.dispatch import KernelFallbackError
from lightly_marlin.kernels.tiles import DEFAULT_TILES, current_tiles

CPU = torch.device("cpu")
OPTIONS = ("--device", "cpu", "--without-compile", "--repeats", "2")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the whole program has left its results."""
    folder = tmp_path_factory.mktemp("results")
    status = benchmarks.main(
        [*OPTIONS, "--batch-sizes", "1", "9", "--out", str(folder)]
    )
    assert status == 0
    return folder


def _read(folder):
    (path,) = folder.glob("kernels-*-cpu.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_result(finished):
    result = _read(finished)
    assert result["suite"] == "kernels"
    assert result["machine"]["versions"]["torch"]
    keys = {(row["operation"], row["batch_size"]) for row in result["operations"]}
    assert len(keys) == 16
    for row in result["operations"]:
        assert row["quartile_1_us"] <= row["median_us"] <= row["quartile_3_us"]
        assert row["share_of_copy"] == row["copy_us"] / row["median_us"]
        assert row["error"] <= TOLERANCE
    ways = {row["way"] for row in result["operations"]}
    assert {"ours", "plain", "original"} <= ways
    assert all(us > 0 for ways in result["host_us"].values() for us in ways.values())
    assert result["copy_gb_per_s"] > 0
    assert not list(finished.glob("partial-*"))


def test_chart(finished):
    (path,) = finished.glob("*.png")
    with Image.open(path) as chart:
        assert chart.width == 1100
        assert len(chart.convert("RGB").getcolors(1 << 16)) > 3


@pytest.mark.parametrize("rich", [True, False])
def test_table(finished, rich, monkeypatch, capsys):
    if not rich:
        _forbid(monkeypatch, "rich")
    print_report(_read(finished))
    lines = capsys.readouterr().out.splitlines()
    assert "tiny sizes on a CPU" in "".join(lines)
    for cells in make_rows(_read(finished)):
        assert any(all(cell in line for cell in cells) for line in lines)


def test_no_matplotlib(finished, monkeypatch, tmp_path):
    _forbid(monkeypatch, "matplotlib")
    message = benchmarks.draw_chart(_read(finished), tmp_path / "chart.png")
    assert message == (
        "no chart, because matplotlib is not installed: pip install matplotlib"
    )
    assert not (tmp_path / "chart.png").exists()


def _forbid(monkeypatch, package):
    real = builtins.__import__

    def absent(name, *arguments, **options):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", absent)


def test_wrong_result_is_not_reported(monkeypatch, capsys, tmp_path):
    def wrong(*arguments, **options):
        cases = make_cases(*arguments, **options)
        plain = cases[1].ways["plain"]
        cases[1].ways["ours"] = lambda **inputs: (1.02 * plain(**inputs)[0],)
        return cases

    monkeypatch.setattr(suite, "make_cases", wrong)
    assert benchmarks.main([*OPTIONS, "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "gather_tokens, ours: the result differs from the reference by 0.02" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [(), ("--tune",)])
def test_what_is_measured_is_kept_when_it_is_stopped(options, monkeypatch, tmp_path):
    """A time limit ends the program at its third operation."""
    calls = iter(range(2))
    real = suite.copy_microseconds

    def stop(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return real(*arguments)

    for module in (suite, tune):
        monkeypatch.setattr(module, "copy_microseconds", stop)
    with pytest.raises(KeyboardInterrupt):
        benchmarks.main([*OPTIONS, *options, "--out", str(tmp_path)])
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("partial-")
    rows = json.loads(path.read_text(encoding="utf-8"))["operations"]
    assert {row["operation"] for row in rows} == {"gather_tubelets", "gather_tokens"}
    assert "No figure has been measured" in readme.make_figures(tmp_path)


def test_tune(tmp_path, capsys):
    arguments = [*OPTIONS, "--tune", "--batch-sizes", "2", "--out", str(tmp_path)]
    assert benchmarks.main(arguments) == 0
    (path,) = tmp_path.iterdir()
    result = json.loads(path.read_text(encoding="utf-8"))
    assert (path.name.split("-")[0], result["suite"]) == ("tiles", "tiles")
    keys = [(row["operation"], row["tiles"]) for row in result["operations"]]
    assert len(keys) == len(set(keys)) == 8 * len(tune.CANDIDATES)
    output = capsys.readouterr().out
    assert output.count("*") == 8
    assert all(str(sizes) in output for sizes in tune.CANDIDATES)
    assert current_tiles() == DEFAULT_TILES


def test_tune__measures_with_the_tiles_it_names(monkeypatch):
    seen = []
    row = {"operation": "x", "median_us": 1.0}
    monkeypatch.setattr(
        tune, "measure_way", lambda *_: seen.append(current_tiles()) or row
    )
    quiet = {"tell": lambda text: None, "save": lambda result: None}
    result = tune.tune_tiles(TINY, [1], CPU, repeats=2, **quiet)
    assert [str(sizes) for sizes in seen] == [r["tiles"] for r in result["operations"]]


GPU = torch.device("cuda")


def test_plain_version_does_not_pass_for_a_kernel(monkeypatch):
    monkeypatch.delenv("LIGHTLY_MARLIN_KERNELS", raising=False)

    def fall_back():
        with suite.require_kernels(GPU):
            assert os.environ["LIGHTLY_MARLIN_KERNELS"] == "strict"
            raise KernelFallbackError("would run in plain: x")

    with pytest.raises(suite.WrongResultError, match="would run in plain: x"):
        fall_back()
    assert "LIGHTLY_MARLIN_KERNELS" not in os.environ
    fallbacks = [("gather_tokens", "Triton is not installed")]
    monkeypatch.setattr(suite, "find_fallbacks", lambda: fallbacks)
    with pytest.raises(suite.WrongResultError, match="ran in plain PyTorch: Triton is"):
        suite.require_kernels(GPU).__enter__()
    monkeypatch.setenv("LIGHTLY_MARLIN_KERNELS", "0")
    with pytest.raises(suite.WrongResultError, match="LIGHTLY_MARLIN_KERNELS is 0"):
        suite.require_kernels(GPU).__enter__()


def test_fallback_is_told_before_anything_is_measured(monkeypatch, capsys, tmp_path):
    def fall_back(*arguments, **options):
        cases = make_cases(*arguments, **options)

        def raise_it(**inputs):
            raise suite.WrongResultError("loss would run in plain PyTorch")

        cases[7].ways["ours"] = raise_it
        return cases

    monkeypatch.setattr(suite, "make_cases", fall_back)
    monkeypatch.setattr(suite, "measure", None)
    assert benchmarks.main([*OPTIONS, "--out", str(tmp_path)]) == 1
    assert "loss would run in plain PyTorch" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_no_gpu(capsys):
    assert benchmarks.main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: no CUDA device was found")


def test_bad_arguments(capsys):
    with pytest.raises(SystemExit, match="2"):
        benchmarks.main(["--device", "cpu", "--batch-sizes", "0"])
    assert "--batch-sizes must be >= 1" in capsys.readouterr().err


@pytest.mark.parametrize("index", range(8))
def test_every_output_is_checked(index):
    """A wrong number in any output of any operation is found; NaN is never close."""
    case = make_cases(TINY, 9, CPU, with_compile=False)[index]
    outputs = case.ways["plain"](**case.inputs)
    assert largest_error(case, lambda **inputs: outputs) <= TOLERANCE
    for k, output in enumerate(outputs):
        for wrong in (1.1 * output, output * float("nan"), output[None]):
            changed = (*outputs[:k], wrong, *outputs[k + 1 :])
            error = largest_error(case, lambda o=changed, **inputs: o)
            assert not error <= TOLERANCE


def test_step_that_a_graph_captures():
    """All of it but the capture, which needs a GPU."""
    step, gradients = graph._make_step(TINY, 2, CPU)
    step()
    first = [grad.clone() for grad in gradients()]
    step()
    assert len(first) == 2
    for grad, expected in zip(gradients(), first, strict=True):
        assert grad.abs().max() > 0
        assert torch.equal(grad, expected)


def test_workload():
    assert (PRETRAINING.num_visible, PRETRAINING.num_masked) == (156, 1412)
    assert (PRETRAINING.num_tokens, PRETRAINING.num_pixels) == (1568, 1536)


def test_minimal_bytes():
    """By hand: 64 x 156 rows of 1536 pixels, 1 byte in and 2 out."""
    visible = 64 * 156 * 1536
    assert minimal_bytes("gather_tubelets", PRETRAINING, 64, 2) == (
        visible,
        2 * visible,
    )
    masked = 64 * 1412 * 1536
    loss = minimal_bytes("masked_reconstruction_loss", PRETRAINING, 64, 2)
    assert loss == (2 * masked + masked, 2 * masked)
    assert minimal_bytes("gather_tokens, backward", PRETRAINING, 2, 4) == (
        2 * 156 * 768 * 4,
        2 * 1568 * 768 * 4,
    )
    assert expected_microseconds(3_000_000, 3000) == 1
    with pytest.raises(ValueError, match=r"Invalid operation \('x'\)"):
        minimal_bytes("x", PRETRAINING, 1, 2)


@pytest.mark.parametrize("item_size", [2, 4])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_minimal_bytes_are_those_of_the_tensors(item_size, batch_size):
    """Counted from what the cases hand in and get out, indices aside."""
    dtype = {2: torch.bfloat16, 4: torch.float32}[item_size]
    options = {"with_compile": False, "dtype": dtype}
    cases = make_cases(TINY, batch_size, CPU, **options)
    for case, operation in ((cases[0], OPERATIONS[0]), (cases[3], OPERATIONS[3])):
        outputs = case.ways["ours"](**case.inputs)
        written = sum(out.numel() * out.element_size() for out in outputs)
        assert minimal_bytes(operation, TINY, batch_size, item_size)[1] == written


def test_readme_is_what_the_code_computes():
    text = readme.README.read_text(encoding="utf-8")
    assert readme.update(text) == text


def test_readme_shows_results_of_gpus(finished, tmp_path):
    result = {**_read(finished), "device": "nvidia-h100"}
    (tmp_path / "kernels-x-nvidia-h100.json").write_text(json.dumps(result))
    figures = readme.make_figures(tmp_path)
    assert "| gather_tubelets | 1 | " in figures
    assert "No figure has been measured" not in figures
    assert "No figure has been measured" in readme.make_figures(finished)


def test_readme_without_a_mark():
    with pytest.raises(ValueError, match="must have one part"):
        readme.update("nothing")
