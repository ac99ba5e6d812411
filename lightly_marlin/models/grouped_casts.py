"""Copies of all weights in half precision by one operation, for autocast.

Autocast copies weights and biases one by one, and each gradient back: in a step of the
base model 300 of 1,000 launches, which the host cannot hide where batches are small.
Made together, the copies have the same values and gradients; those of a weight that is
used twice are added in half precision, as with autocast's own cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx

from lightly_marlin.models.blocks import QVBiasAttention, TransformerBlocks

__all__ = ["grouped_casts"]


@contextmanager
def grouped_casts(module: nn.Module) -> Iterator[None]:
    """Exchanges the weights of linear layers for copies in autocast's precision.

    While it lasts; what was computed keeps its graph, and gradients reach the weights
    as always. What leaves autocast within must not use the module.

    It does nothing without autocast on the module's device, in compilers, which fuse
    the copies, for compiled blocks, for blocks that are recomputed in the backward
    pass, when the weights are back, and with several processes, which send gradients
    while others are computed: together they would all come last.

    Args:
        module: Module with float32 weights.
    """
    device = next(module.parameters()).device.type
    places = _places(module) if _applies(module, device) else []
    weights = [stored[name] for stored, name in places]
    if not weights:
        yield
        return
    dtype = torch.get_autocast_dtype(device)
    copies = _CastTogether.apply(dtype, *weights)
    try:
        for (stored, name), copy in zip(places, copies, strict=True):
            stored[name] = copy
        yield
    finally:
        for (stored, name), weight in zip(places, weights, strict=True):
            stored[name] = weight


class _CastTogether(torch.autograd.Function):
    """Copies of tensors in another dtype; gradients are copied back."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, dtype: torch.dtype, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        # Weights that take no part keep no gradient, instead of one of zeros.
        ctx.set_materialize_grads(False)
        return _cast(weights, dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor | None) -> Any:
        used = [gradient for gradient in gradients if gradient is not None]
        back = iter(_cast(used, torch.float32))
        return None, *(None if g is None else next(back) for g in gradients)


def _cast(
    tensors: list[Tensor] | tuple[Tensor, ...], dtype: torch.dtype
) -> tuple[Tensor, ...]:
    copies = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    if copies:
        torch._foreach_copy_(copies, list(tensors))
    return tuple(copies)


def _places(module: nn.Module) -> list[tuple[dict[str, Any], str]]:
    """Returns where the float32 weights of linear layers are kept, by name."""
    places: list[tuple[dict[str, Any], str]] = []
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            places += [(layer._parameters, "weight"), (layer._parameters, "bias")]
        elif isinstance(layer, QVBiasAttention):
            places += [(layer._parameters, "q_bias"), (layer._parameters, "v_bias")]
            # Joined with them, it must be of their dtype.
            places.append((layer._buffers, "_k_bias"))
    return [
        (stored, name)
        for stored, name in places
        if stored[name] is not None and stored[name].dtype == torch.float32
    ]


def _applies(module: nn.Module, device: str) -> bool:
    if not torch.is_autocast_enabled(device) or torch.compiler.is_compiling():
        return False
    if distributed.is_available() and distributed.is_initialized():
        return False
    stacks = [part for part in module.modules() if isinstance(part, TransformerBlocks)]
    if any(stack.grad_checkpointing for stack in stacks):
        return False
    parts = (part for stack in stacks for part in (stack, *stack))
    return all(part._compiled_call_impl is None for part in (module, *parts))
