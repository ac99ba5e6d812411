"""Triton where it is installed, and stand-ins that let files import where it is not.

Kernel files write `@jit` and `tl.constexpr` whether Triton is there or not; without it
the decorated functions are never called. With `TRITON_INTERPRET=1`, set before the
first import, Triton runs kernels as Python on the CPU, and the ops of this package use
them there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = tl = None

__all__ = ["INTERPRETED", "KERNEL_DEVICES", "jit", "launch", "tl", "triton"]

INTERPRETED = triton is not None and os.environ.get("TRITON_INTERPRET") == "1"
"""Whether kernels run in Triton's interpreter."""

KERNEL_DEVICES = ("cuda", "cpu") if INTERPRETED else ("cuda",)
"""Types of the devices whose tensors kernels take."""


def jit(function: Callable[..., Any]) -> Any:
    """Makes a kernel, or a function that kernels call, of a Python function."""
    return function if triton is None else triton.jit(function)


def launch(kernel: Any, grid: tuple[int, ...], /, *args: Any, **options: Any) -> None:
    """Starts a kernel; every launch of this package goes through here.

    Args:
        kernel: What `jit` returned.
        grid: Number of programs along up to three axes; nothing is started if one is 0.
        args: Arguments of the kernel by position.
        options: Further arguments by name, and `num_warps`.
    """
    if all(grid):
        _start(kernel, grid, *args, **options)


def _start(kernel: Any, grid: tuple[int, ...], /, *args: Any, **options: Any) -> None:
    """Start of a kernel; a test that only compiles replaces it."""
    kernel[grid](*args, **options)
