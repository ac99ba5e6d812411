"""Choice of the device that a program computes on."""

from __future__ import annotations

import torch

from lightly_marlin.utils.errors import UsageError

__all__ = ["choose_device"]


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
