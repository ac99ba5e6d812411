"""Plain layers of a model swapped for fast ones in place, and swapped back."""

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

    Layers stay the objects that they are: only their class changes, to a subclass with
    the same parameters. So the state dict, optimizers, hooks, copies, pickles and
    `torch.compile` know nothing of it. Layers of other classes, subclasses included,
    are left alone. On other devices, on processors where it was not measured to help,
    in compilers and exporters, the fast layers compute what the plain ones compute.

    Example:
        >>> model = accelerate_cpu(Marlin(MarlinConfig()))

    Args:
        module: Any module. Swapping twice is swapping once.

    Returns:
        The same module; `restore_layers` undoes it.
    """
    return _swap(module, _FAST)


def restore_layers(module: _Module) -> _Module:
    """Swaps fast layers for plain ones in place: undoes `accelerate_cpu`.

    Args:
        module: Any module.

    Returns:
        The same module, of the layers of PyTorch and timm that it was built of.
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
