"""Who computes an op: the kernel, or the plain version with one log line."""

import logging
from types import SimpleNamespace

import pytest
import torch

from lightly_marlin.kernels import (
    dispatch,
    masked_reconstruction_loss,
    triton_language,
)
from lightly_marlin.kernels.dispatch import (
    KernelFallbackError,
    UnservedError,
    find_fallbacks,
    find_obstacle,
    require_rows,
    require_tokens,
    run_kernel,
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.delenv("LIGHTLY_MARLIN_KERNELS", raising=False)
    monkeypatch.setattr(dispatch, "_logged", {})
    monkeypatch.setattr(dispatch, "_broken", {})
    monkeypatch.setattr(triton_language, "triton", object())
    yield
    dispatch._broken.clear()


def _run(launcher=lambda x: "kernel", tensor=None):
    tensor = torch.zeros(1) if tensor is None else tensor
    return run_kernel("some_op", launcher, lambda x: "plain", tensor)


def _on_gpu(monkeypatch, capability):
    monkeypatch.setattr(dispatch, "_capability", lambda device: capability)
    return SimpleNamespace(device=torch.device("cuda", 0), dtype=torch.float32)


def test_kernel_serves(caplog):
    assert _run() == "kernel"
    assert not caplog.records


@pytest.mark.parametrize(("value", "expected"), [("0", "plain"), ("1", "kernel")])
def test_variable_turns_kernels_off(monkeypatch, caplog, value, expected):
    monkeypatch.setenv("LIGHTLY_MARLIN_KERNELS", value)
    assert _run() == expected
    assert not caplog.records, "what the user asked for is no news"


def test_no_triton(monkeypatch, caplog):
    monkeypatch.setattr(triton_language, "triton", None)
    assert [_run(), _run()] == ["plain", "plain"]
    (record,) = caplog.records
    assert record.name == "lightly_marlin.kernels"
    assert record.levelno == logging.WARNING
    expected = "some_op runs in plain PyTorch: Triton is not installed."
    assert record.getMessage() == expected


@pytest.mark.parametrize(
    ("capability", "reason"),
    [
        ((7, 5), "the GPU has compute capability 7.5, kernels need 8.0"),
        ((8, 0), None),
        ((9, 0), None),
        ((12, 0), None),
    ],
)
def test_old_gpu(monkeypatch, capability, reason):
    assert find_obstacle([_on_gpu(monkeypatch, capability)]) == reason


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64])
def test_strange_dtype(caplog, dtype):
    tensor = torch.zeros(1, dtype=dtype)
    assert [_run(tensor=tensor), _run(tensor=tensor)] == ["plain", "plain"]
    (record,) = caplog.records
    assert f"no kernel takes {dtype}" in record.getMessage()
    assert _run() == "kernel", "other calls go on with the kernel"


def test_failing_kernel_is_tried_once(caplog):
    calls = []

    def launcher(x):
        calls.append(x)
        raise RuntimeError("ptxas died\nof something long")

    assert [_run(launcher), _run(launcher)] == ["plain", "plain"]
    assert len(calls) == 1
    (record,) = caplog.records
    assert "its kernel failed (RuntimeError: ptxas died)" in record.getMessage()


def test_unserved_arguments_do_not_spoil_others(caplog):
    def launcher(x):
        raise UnservedError("no kernel takes 65 channels")

    assert [_run(launcher), _run(launcher), _run()] == ["plain", "plain", "kernel"]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, torch.AcceleratorError])
def test_errors_of_the_device_are_not_hidden(error):
    def launcher(x):
        raise error("the device says no")

    with pytest.raises(error, match="the device says no"):
        _run(launcher)


def test_fallback_equals_the_plain_version(monkeypatch):
    """Through a real op: too many channels for a kernel, on any device."""
    from lightly_marlin.kernels.scatter_tubelets import (
        launch_scatter_tubelets,
        scatter_tubelets,
    )

    rows, idx = torch.randn(1, 1, 65), torch.zeros(1, 1, dtype=torch.int64)
    options = (rows, idx, None, [1, 65, 1, 1, 1], 1, 1, "c t h w", torch.float32)
    result = run_kernel("x", launch_scatter_tubelets, scatter_tubelets, *options)
    assert torch.equal(result.flatten(), rows.flatten())


def test_what_grids_and_32_bits_cannot_number():
    require_tokens(2**16 - 1, 2**31 - 2**18)
    require_rows(2**31 - 2**18)
    with pytest.raises(UnservedError, match="no kernel takes 65536 clips at once"):
        require_tokens(2**16, 1)
    with pytest.raises(UnservedError, match="2147483648 tokens of a clip"):
        require_tokens(1, 2**31)
    with pytest.raises(UnservedError, match="no kernel takes 2147483648 rows"):
        require_rows(2**31)


def _fails(x):
    """As Triton's compiler does where a function that a kernel calls is wrong."""
    try:
        raise ValueError("at 3:14:\n    x = y\n        ^\ny is not defined")
    except ValueError as error:
        raise RuntimeError("at 80:1:\n    f(x)\n    ^") from error


def test_fallback_names_the_first_cause(caplog):
    expected = "its kernel failed (ValueError: y is not defined)"
    assert [_run(_fails), _run(_fails)] == ["plain", "plain"]
    assert find_fallbacks() == [("some_op", expected)]
    (record,) = caplog.records
    assert expected in record.getMessage()


def test_fallbacks_are_listed_in_their_order():
    def unserved(x):
        raise UnservedError("no kernel takes 65 channels")

    run_kernel("z", unserved, lambda x: x, torch.zeros(1))
    run_kernel("a", _fails, lambda x: x, torch.zeros(1))
    run_kernel("z", unserved, lambda x: x, torch.zeros(1))
    assert [name for name, _ in find_fallbacks()] == ["z", "a"]


def test_strict__kernel_serves(monkeypatch):
    monkeypatch.setenv("LIGHTLY_MARLIN_KERNELS", "strict")
    assert _run() == "kernel"


def test_strict__fallbacks_raise(monkeypatch, caplog):
    monkeypatch.setenv("LIGHTLY_MARLIN_KERNELS", "strict")
    expected = r"some_op would run in plain PyTorch: its kernel failed \(ValueError: y"
    for _ in range(2):
        with pytest.raises(KernelFallbackError, match=expected) as raised:
            _run(_fails)
        last, raised = raised, raised.value.__cause__
    assert raised is None, "the second time, the kernel is not even tried"
    assert "LIGHTLY_MARLIN_KERNELS is strict" in str(last.value)
    dispatch._broken.clear()
    with pytest.raises(KernelFallbackError, match=r"no kernel takes torch.float64"):
        _run(tensor=torch.zeros(1, dtype=torch.float64))
    assert not caplog.records
    assert find_fallbacks() == []


@pytest.mark.skipif(triton_language.INTERPRETED, reason="kernels run on the CPU")
def test_strict__no_kernel_is_expected_on_the_cpu(monkeypatch):
    monkeypatch.setenv("LIGHTLY_MARLIN_KERNELS", "strict")
    monkeypatch.setattr(triton_language, "triton", None)
    videos = torch.zeros(1, 3, 2, 16, 16, dtype=torch.float64)
    idx = torch.zeros(1, 1, dtype=torch.int64)
    pred = torch.zeros(1, 1, 1536, requires_grad=True)
    masked_reconstruction_loss(pred, videos, idx).backward()
    assert pred.grad is not None
