"""Processor of this machine, and the faster library measured on it."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch

__all__ = ["onednn_is_faster", "processor_vendor", "runs_plainly"]

_CPUINFO = Path("/proc/cpuinfo")
# Intel's own processors run MKL at full speed; other vendors were not measured.
_MEASURED = ("AuthenticAMD",)


@cache
def processor_vendor() -> str:
    """Returns the vendor that the processor reports, such as "GenuineIntel".

    Returns:
        The name; an empty string if the system does not report it.
    """
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        # Windows: "AMD64 Family 25 Model 17 Stepping 1, AuthenticAMD".
        return platform.processor().rpartition(", ")[2]
    named = (line.partition(":")[2] for line in lines if line.startswith("vendor_id"))
    return next(named, "").strip()


def onednn_is_faster() -> bool:
    """Returns whether oneDNN was measured to be faster than MKL on this processor."""
    return processor_vendor() in _MEASURED


def runs_plainly(device: torch.device) -> bool:
    """Returns whether a layer must compute as PyTorch's own would.

    Compilers and exporters handle plain layers best, and a layer that is fast on a CPU
    is not fast on other devices.

    Args:
        device: Device of the layer's input.
    """
    return (
        torch.compiler.is_compiling()
        or bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]
        or device.type != "cpu"
    )
