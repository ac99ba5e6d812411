"""Weights of published networks that define a metric: all of them, or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lightly_marlin.models.weights.state_dict import read_state_dict
from lightly_marlin.utils.errors import UsageError

__all__ = ["load_published_weights"]

# Batch normalisation counts its batches for training alone, and only since PyTorch 0.4.
_COUNTER = "num_batches_tracked"
_LISTED = 3


def load_published_weights(module: nn.Module, path: Path | str, published: str) -> None:
    """Loads the weights of a network that a metric is defined by.

    Code in the file is not run. The names in the file are those of the module; only
    the counters of batch normalisation may be missing. A file that does not fit leaves
    the module unchanged.

    Args:
        module: The network.
        path: File with a state dict, in any form that `torch.save` or safetensors
            writes.
        published: Name of the published file, for the error message.

    Raises:
        UsageError: A ValueError, if the file cannot be read without running code, or
            holds the weights of another network, NaN or infinity.
    """
    path = Path(path)
    own, found = _weights(module.state_dict()), _weights(read_state_dict(path))
    problem = _misfit(own, found)
    if problem:
        raise UsageError(
            f"Cannot use {path} as {type(module).__name__}: {problem}. Give the "
            f"published {published}."
        )
    broken = [name for name, weight in found.items() if not weight.isfinite().all()]
    if broken:
        raise UsageError(
            f"Cannot use {path} as {type(module).__name__}: {_listed(broken)} hold NaN "
            f"or infinity. The file is damaged; fetch the published {published} again."
        )
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(found[name])


def _weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a state dict without counters."""
    return {n: t for n, t in state.items() if not n.endswith(f".{_COUNTER}")}


def _misfit(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Returns what is wrong with the weights of a file; empty if they fit."""
    common = own.keys() & found.keys()
    if not common:
        return f"it holds another network, with weights such as {_listed([*found][:1])}"
    problems = {
        "missing": [name for name in own if name not in found],
        "unexpected": [name for name in found if name not in own],
        "not floating-point": [
            name
            for name in own
            if name in common and not found[name].is_floating_point()
        ],
        "wrong shape:": [
            f"{name} is {tuple(found[name].shape)} instead of {tuple(own[name].shape)}"
            for name in own
            if name in common and found[name].shape != own[name].shape
        ],
    }
    return "; ".join(
        f"{label} {_listed(names)}" for label, names in problems.items() if names
    )


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
