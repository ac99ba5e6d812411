"""Choice of the device and of the precision that a program computes with."""

from __future__ import annotations

from typing import Any

import torch

from lightly_marlin.utils.errors import UsageError

__all__ = [
    "choose_device",
    "choose_precision",
    "has_bf16_units",
    "lightning_precision",
]


def choose_device(name: str = "auto") -> torch.device:
    """Returns a device after checking that it works.

    Args:
        name: Name such as "cpu" or "cuda:1"; "auto" for a GPU if there is one.

    Returns:
        The device.

    Raises:
        UsageError: A ValueError, if there is no such device, or it cannot be used.
    """
    try:
        place = "cuda" if torch.cuda.is_available() else "cpu"
        device = torch.device(place if name == "auto" else name)
        # Names are only checked when a tensor is placed there.
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"The device {name} cannot be used: {reason}") from error
    return device


def choose_precision(name: str | None) -> str:
    """Returns the precision to train with on this machine.

    Args:
        name: A name that Lightning knows, or "tf32"; "auto" for bf16-mixed if
            `choose_device` finds a device with units for it, else 32; None for the
            same, but 32 on every CPU, so that all compute the same there.
    """
    if name not in ("auto", None):
        return str(name)
    device = choose_device()
    suits = has_bf16_units(device) and (name == "auto" or device.type == "cuda")
    return "bf16-mixed" if suits else "32"


def lightning_precision(name: str) -> Any:
    """Returns Lightning's name of a precision, after setting how float32 multiplies.

    TF32 is float32 whose products a GPU rounds to 10 bits first: about three times as
    fast. Lightning has no name for it, as it is a switch of the whole process.

    Args:
        name: Result of `choose_precision`.
    """
    tf32 = name == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    return "32" if tf32 else name


def has_bf16_units(device: torch.device) -> bool:
    """Returns whether a device multiplies matrices of bfloat16 in hardware.

    Elsewhere bf16 gives the same results, but more slowly than float32; on processors
    without such units about ten times more slowly.

    Args:
        device: The device that computes.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return True
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)
