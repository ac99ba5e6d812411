import pytest
import torch

from lightly_marlin.utils.device import choose_device
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
