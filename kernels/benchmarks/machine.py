"""Description of the machine of a benchmark: hardware and versions, no host name."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

__all__ = ["cpu_name", "describe_machine", "device_name", "machine_name"]

_PACKAGES = (
    "torch",
    "torchvision",
    "triton",
    "av",
    "numpy",
    "pillow",
    "timm",
)


def describe_machine() -> dict[str, Any]:
    """Returns processor, memory, versions and date, as plain values for JSON."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cpu_bf16": [flag for flag in _cpu_flags() if flag.endswith("_bf16")],
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def machine_name() -> str:
    """Returns a short name for result files: the GPU, or processor and cores."""
    if torch.cuda.is_available():
        return device_name(torch.device("cuda"))
    return cpu_name()


def cpu_name() -> str:
    """Returns processor and cores as a name for files."""
    return _file_name(f"{_cpu_model()} {len(os.sched_getaffinity(0))} cores")


def device_name(device: torch.device) -> str:
    """Returns a device as a name for files: the GPU's model, or "cpu"."""
    if device.type != "cuda":
        return device.type
    return _file_name(torch.cuda.get_device_name(device))


def _file_name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _cpu_info(key: str) -> str:
    """Returns the first value of a key in /proc/cpuinfo, or nothing."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _cpu_model() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_flags() -> list[str]:
    return _cpu_info("flags").split()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
