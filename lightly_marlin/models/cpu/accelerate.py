"""In-place swap of a model's plain layers for fast ones, and its reversal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from timm.layers import Mlp
from torch import nn

from lightly_marlin.models.blocks import QVBiasAttention
from lightly_marlin.models.cpu.attention import FastAttention
from lightly_marlin.models.cpu.linear import FastLinear
from lightly_marlin.models.cpu.mlp import FastMlp

__all__ = ["accelerate_cpu", "restore_layers"]

_FAST: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: FastLinear,
    Mlp: FastMlp,
    QVBiasAttention: FastAttention,
}
_PLAIN = {fast: plain for plain, fast in _FAST.items()}

_Module = TypeVar("_Module", bound=nn.Module)


def accelerate_cpu(module: _Module) -> _Module:
    """Swaps the plain layers of a module for ones that are fast on CPUs, in place.

    Layers remain the same objects: only their class changes, to a subclass with the
    same parameters. The state dict, optimizers, hooks, copies, pickles and
    `torch.compile` are therefore unaffected. Layers of other classes, subclasses
    included, are left unchanged. On other devices, on processors where no speed-up was
    measured, and in compilers and exporters, the fast layers fall back to the plain
    computation.

    Example:
        >>> model = accelerate_cpu(Marlin(MarlinConfig()))

    Args:
        module: Any module. Swapping twice has no further effect.

    Returns:
        The same module; `restore_layers` undoes it.
    """
    return _swap(module, _FAST)


def restore_layers(module: _Module) -> _Module:
    """Swaps fast layers back for plain ones in place: undoes `accelerate_cpu`.

    Args:
        module: Any module.

    Returns:
        The same module, with the layers of PyTorch and timm that it was built from.
    """
    return _swap(module, _PLAIN)


def _swap(
    module: _Module, classes: Mapping[type[nn.Module], type[nn.Module]]
) -> _Module:
    for layer in module.modules():
        other = classes.get(type(layer))
        if other is not None:
            layer.__class__ = other
    return module
