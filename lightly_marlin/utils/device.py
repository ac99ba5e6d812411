"""Choice of the device and of the precision that a program computes with."""

from __future__ import annotations

import torch

from lightly_marlin.utils.errors import UsageError

__all__ = ["choose_device", "choose_precision", "has_bf16_units"]


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


def choose_precision(name: str) -> str:
    """Returns Lightning's name of a precision.

    Args:
        name: A name that Lightning knows; "auto" for bf16-mixed if `choose_device`
            finds a device with units for it, else 32.
    """
    if name != "auto":
        return name
    return "bf16-mixed" if has_bf16_units(choose_device()) else "32"


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
