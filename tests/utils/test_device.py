import pytest
import torch

from lightly_marlin.utils.device import (
    choose_device,
    choose_precision,
    has_bf16_units,
    lightning_precision,
)
from lightly_marlin.utils.errors import UsageError


def test_a_named_device():
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(there, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch, "empty", lambda *size, device: None)
    assert choose_device() == torch.device(expected)


@pytest.mark.parametrize("name", ["cuda:99", "warp", "meta:x"])
def test_what_cannot_be_used_is_said_in_one_line(name):
    with pytest.raises(UsageError, match=f"The device {name} cannot be used: ") as info:
        choose_device(name)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("amx", "avx512", "expected"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_bf16_units_of_processors(amx, avx512, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert has_bf16_units(torch.device("cpu")) is expected


@pytest.mark.parametrize(("units", "expected"), [(True, "bf16-mixed"), (False, "32")])
def test_choose_precision__auto(units, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert choose_precision("auto") == expected
    # Without a wish, all processors compute the same.
    assert choose_precision(None) == "32"


@pytest.mark.parametrize(
    ("capability", "expected"), [((9, 0), "bf16-mixed"), ((7, 5), "32")]
)
def test_choose_precision__of_a_gpu(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", lambda *size, device: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision(None) == choose_precision("auto") == expected


@pytest.mark.parametrize(
    ("name", "lightning", "products", "cudnn"),
    [("tf32", "32", "high", True), ("bf16-mixed", "bf16-mixed", "highest", False)],
)
def test_lightning_precision(name, lightning, products, cudnn):
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        assert lightning_precision(name) == lightning
        assert torch.get_float32_matmul_precision() == products
        assert torch.backends.cudnn.allow_tf32 is cudnn
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def test_choose_precision__names_stay():
    assert choose_precision("bf16") == "bf16"
