"""Dispatch of a call to its Triton kernel or to the plain PyTorch version.

Kernels run on CUDA tensors unless the environment variable `LIGHTLY_MARLIN_KERNELS` is
0. Whatever Triton cannot serve (no Triton, an old GPU, a strange dtype, a kernel that
does not compile) is computed by the plain PyTorch version instead, with one log line
for each op and reason. With `LIGHTLY_MARLIN_KERNELS=strict` it raises instead. No
kernel is expected on the CPU (outside of Triton's interpreter), where the plain version
runs in strict mode too.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor

from lightly_marlin.kernels import triton_language
from lightly_marlin.kernels.op_calls import register_bodies

__all__ = [
    "KERNELS_VARIABLE",
    "KernelFallbackError",
    "UnservedError",
    "find_fallbacks",
    "find_obstacle",
    "kernels_are_off",
    "register_kernel",
    "require_dtype",
    "require_rows",
    "require_tokens",
    "run_kernel",
]

KERNELS_VARIABLE = "LIGHTLY_MARLIN_KERNELS"
"""Environment variable: 0 turns the kernels off, strict makes fallbacks raise."""

MIN_CAPABILITY = (8, 0)
"""The oldest GPU generation that Triton compiles all of the dtypes for."""

_DTYPES = frozenset(
    (torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32)
)
# What CUDA starts along the second axis of a grid, and what 32 bits number, with room
# for tiles that reach beyond the last row.
_MAX_CLIPS = 2**16 - 1
_MAX_ROWS = 2**31 - 2**18
# These are no fault of a kernel, and the plain version would meet them too.
_NOT_OURS = (torch.OutOfMemoryError, torch.AcceleratorError)

_logger = logging.getLogger("lightly_marlin.kernels")
# In the order in which they came.
_logged: dict[tuple[str, str], None] = {}
_broken: dict[str, str] = {}

_Result = TypeVar("_Result")


class UnservedError(Exception):
    """Raised by a launcher for arguments that its kernel is not made for."""


class KernelFallbackError(RuntimeError):
    """Raised in strict mode where a plain version would replace a kernel."""


def register_kernel(
    op: Any, launcher: Callable[..., _Result], plain: Callable[..., _Result]
) -> None:
    """Makes a launcher the body of an op on the devices where kernels run.

    Args:
        op: What `torch.library.custom_op` returned.
        launcher: Takes the arguments of the op by position; starts the kernel.
        plain: The default body of the op, in plain PyTorch.
    """
    name = plain.__name__.strip("_")

    @functools.wraps(plain)
    def body(*args: object) -> _Result:
        return run_kernel(name, launcher, plain, *args)

    op.register_kernel(triton_language.KERNEL_DEVICES, body)
    bodies: dict[str, Callable[..., object]] = {"cpu": plain}
    bodies.update(dict.fromkeys(triton_language.KERNEL_DEVICES, body))
    register_bodies(op, bodies)


def run_kernel(
    name: str,
    launcher: Callable[..., _Result],
    plain: Callable[..., _Result],
    *args: object,
) -> _Result:
    """Runs the launcher, or the plain version where kernels are off or cannot serve.

    Args:
        name: Name of the operation, for the log.
        launcher: Starts the kernel. If it raises, nothing may have been changed.
        plain: The same in plain PyTorch.
        args: Arguments of both; at least one tensor, all on one device.

    Returns:
        What the one that ran returned.

    Raises:
        KernelFallbackError: In strict mode, if the kernel does not serve.
    """
    if kernels_are_off():
        return plain(*args)
    tensors = [arg for arg in args if isinstance(arg, Tensor)]
    reason = _broken.get(name) or find_obstacle(tensors)
    cause = None
    if reason is None:
        try:
            with _on_device_of(tensors[0]):
                return launcher(*args)
        except UnservedError as error:
            reason = str(error)
        except _NOT_OURS:
            raise
        except Exception as error:
            reason = f"its kernel failed ({_first_cause(error)})"
            _broken[name] = reason
            cause = error
    if os.environ.get(KERNELS_VARIABLE) == "strict":
        raise KernelFallbackError(
            f"{name} would run in plain PyTorch: {reason}. {KERNELS_VARIABLE} is "
            "strict, which allows no fallbacks."
        ) from cause
    _log_once(name, reason)
    return plain(*args)


def kernels_are_off() -> bool:
    """Returns whether the user turned the kernels off."""
    return os.environ.get(KERNELS_VARIABLE) == "0"


def find_obstacle(tensors: list[Tensor]) -> str | None:
    """Returns why no kernel takes these tensors, or None if one does.

    Args:
        tensors: The tensors of a call, on one device.
    """
    if triton_language.triton is None:
        return "Triton is not installed"
    device = tensors[0].device
    if device.type == "cuda":
        capability = _capability(device)
        if capability < MIN_CAPABILITY:
            return (
                f"the GPU has compute capability {capability[0]}.{capability[1]}, "
                f"kernels need {MIN_CAPABILITY[0]}.{MIN_CAPABILITY[1]}"
            )
    for tensor in tensors:
        if tensor.dtype not in _DTYPES:
            return f"no kernel takes {tensor.dtype}"
    return None


def find_fallbacks() -> list[tuple[str, str]]:
    """Returns what ran in plain PyTorch so far, though a kernel was to run.

    Returns:
        Pairs of operation and reason, each once, in the order of their first times;
        nothing that the user asked for by turning the kernels off.
    """
    return list(_logged)


def require_dtype(dtype: torch.dtype) -> None:
    """Raises UnservedError unless kernels write results of this dtype."""
    if dtype not in _DTYPES:
        raise UnservedError(f"no kernel writes {dtype}")


def require_rows(num_rows: int) -> None:
    """Raises UnservedError unless 32 bits number the rows of a matrix.

    Args:
        num_rows: Rows that programs divide into clips and places.
    """
    if num_rows > _MAX_ROWS:
        raise UnservedError(f"no kernel takes {num_rows} rows")


def require_tokens(batch_size: int, num_tokens: int) -> None:
    """Raises UnservedError unless a program for each token and clip can be started.

    Args:
        batch_size: Clips B, the second axis of the grid.
        num_tokens: Tokens N of a clip, which 32 bits have to number.
    """
    if batch_size > _MAX_CLIPS:
        raise UnservedError(f"no kernel takes {batch_size} clips at once")
    if num_tokens > _MAX_ROWS:
        raise UnservedError(f"no kernel takes {num_tokens} tokens of a clip")


@functools.cache
def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)


def _on_device_of(
    tensor: Tensor,
) -> torch.cuda.device | nullcontext[None]:
    """Triton starts kernels on the current device, whatever the tensors are on."""
    if not tensor.is_cuda or tensor.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(tensor.device)


def _first_cause(error: BaseException) -> str:
    """Returns type and message of the error that led to this one."""
    while True:
        hidden = None if error.__suppress_context__ else error.__context__
        cause = error.__cause__ or hidden
        if cause is None:
            break
        error = cause
    lines = str(error).strip().splitlines() or [""]
    # Triton's compiler says where ("at 3:14:"), shows the lines, and then says what.
    line = lines[-1] if lines[0].startswith("at ") else lines[0]
    return f"{type(error).__name__}: {line}"


def _log_once(name: str, reason: str) -> None:
    if (name, reason) not in _logged:
        _logged[name, reason] = None
        _logger.warning("%s runs in plain PyTorch: %s.", name, reason)
