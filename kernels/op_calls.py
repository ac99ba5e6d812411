"""Calls of ops, past PyTorch's dispatcher where nothing would notice.

An op of `torch.library` costs the host up to 60 microseconds a call, which compilers,
tracers and modes are worth, but not plain eager code: there the op's body and its
gradient are called directly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, profiler
from torch.nn import Parameter

__all__ = ["call_op", "register_bodies", "register_gradient"]

_bodies: dict[Any, dict[str, Callable[..., Any]]] = {}
_functions: dict[Any, dict[str, type[Function]]] = {}


def register_bodies(op: Any, bodies: dict[str, Callable[..., Any]]) -> None:
    """Says what an op runs.

    Args:
        op: What `torch.library.custom_op` returned.
        bodies: Functions like the op, by the type of the device.
    """
    _bodies[op] = bodies


def register_gradient(
    op: Any, backward: Callable[..., Any], setup_context: Callable[..., None]
) -> None:
    """Makes an op with registered bodies differentiable.

    Args:
        op: What `torch.library.custom_op` returned.
        backward: As for `op.register_autograd`.
        setup_context: As for `op.register_autograd`.
    """
    op.register_autograd(backward, setup_context=setup_context)
    # The same gradient once more, as a function of autograd for each kind of device.
    _functions[op] = {
        device_type: _make_function(body, backward, setup_context)
        for device_type, body in _bodies[op].items()
    }


def call_op(op: Any, *args: Any) -> Any:
    """Calls an op, or directly what it would run.

    Args:
        op: An op with registered bodies.
        args: All its arguments by position, the defaults too.

    Returns:
        What the op returns.
    """
    if torch.compiler.is_compiling() or _somebody_watches():
        return op(*args)
    device_type = None
    needs_grad = False
    for arg in args:
        kind = type(arg)
        if kind is Tensor or kind is Parameter:
            # A sign that is kept for later is what the dispatcher sees to.
            if arg.is_neg():
                return op(*args)
            device_type = arg.device.type if device_type is None else device_type
            needs_grad = needs_grad or arg.requires_grad
        elif isinstance(arg, Tensor):
            # Subclasses have rules of their own.
            return op(*args)
    body = _bodies[op].get(device_type or "")
    if body is None:
        return op(*args)
    if not (needs_grad and torch.is_grad_enabled()):
        return body(*args)
    functions = _functions.get(op)
    # An op without a gradient has to say so.
    return op(*args) if functions is None else functions[device_type or ""].apply(*args)


def _somebody_watches() -> bool:
    """Returns whether ops are traced, transformed, recorded or replaced."""
    return bool(
        profiler._is_profiler_enabled
        or torch._C._len_torch_dispatch_stack()
        or torch._C._are_functorch_transforms_active()
        or torch._C._get_tracing_state()
    )


def _make_function(
    body: Callable[..., Any],
    backward: Callable[..., Any],
    setup_context: Callable[..., None],
) -> type[Function]:
    def forward(ctx: Any, *args: Any) -> Any:
        output = body(*args)
        # In here, as autograd looks into the signature at each call otherwise.
        setup_context(ctx, args, output)
        return output

    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(f"Function_{body.__name__.strip('_')}", (Function,), members)
