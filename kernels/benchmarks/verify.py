"""Verification of results against the reference in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lightly_marlin.kernels.benchmarks.cases import Case

__all__ = ["largest_error"]

TOLERANCE = 2**-7
"""A bfloat16 has 8 bits: two roundings may be off by as much, next to the largest."""

_CLIPS_AT_ONCE = 8


def largest_error(case: Case, way: Callable[..., tuple[Tensor, ...]]) -> float:
    """Returns how far outputs are from the reference, relative to its root mean square.

    Args:
        case: The operation with its inputs.
        way: What computes the outputs.

    Returns:
        For the worst output, the root mean square of the error over that of the
        reference in float64; infinite if anything is not finite or missing.
    """
    outputs = way(**case.inputs)
    sums = [[0.0, 0.0] for _ in outputs]
    parts = _parts(case)
    whole: dict[int, Tensor] = {}
    for low, high in parts:
        exact = case.reference(**_slice(case, low, high))
        for index, (join, part) in enumerate(zip(case.joins, exact, strict=True)):
            if join in ("rows", "share"):
                part = part * (high - low) / parts[-1][1] if join == "share" else part
                _add_error(sums[index], outputs[index][low:high], part)
            else:
                part = part * (high - low) / parts[-1][1] if join == "mean" else part
                whole[index] = whole.get(index, torch.zeros_like(part)) + part
    for index, expected in whole.items():
        _add_error(sums[index], outputs[index], expected)
    return max(_ratio(*pair) for pair in sums)


def _parts(case: Case) -> list[tuple[int, int]]:
    (batch_size,) = {
        len(value) for name, value in case.inputs.items() if name not in case.shared
    }
    return [
        (low, min(low + _CLIPS_AT_ONCE, batch_size))
        for low in range(0, batch_size, _CLIPS_AT_ONCE)
    ]


def _slice(case: Case, low: int, high: int) -> dict[str, Tensor]:
    """Returns the inputs of some clips, with floats in float64."""
    inputs = {}
    for name, value in case.inputs.items():
        value = value if name in case.shared else value[low:high]
        inputs[name] = value.double() if value.is_floating_point() else value
    return inputs


def _add_error(sums: list[float], actual: Tensor, exact: Tensor) -> None:
    if actual.shape != exact.shape:
        sums[0] = float("inf")
        return
    sums[0] += float((actual.double() - exact).square().sum())
    sums[1] += float(exact.square().sum())


def _ratio(error: float, size: float) -> float:
    ratio = (error / size) ** 0.5 if size else float("inf") if error else 0.0
    return ratio if ratio == ratio else float("inf")
