"""Placement of an encoder in a checkpoint: the prefix under which it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lightly_marlin.models.weights.architecture import count_blocks
from lightly_marlin.models.weights.layout import LAYOUTS, Layout, find_layout
from lightly_marlin.utils.errors import UsageError

__all__ = ["Placement", "place_encoder"]

_ANCHOR = "patch_embed.weight"
_ENDS = (_ANCHOR, "patch_embed.bias", "norm.weight", "norm.bias")
_BLOCK = (
    *(f"{norm}.{part}" for norm in ("norm1", "norm2") for part in ("weight", "bias")),
    *(f"attn.{part}" for part in ("q_bias", "v_bias", "qkv.weight")),
    *(
        f"{layer}.{part}"
        for layer in ("attn.proj", "mlp.fc1", "mlp.fc2")
        for part in ("weight", "bias")
    ),
)


@dataclass(frozen=True)
class Placement:
    """Encoder in a checkpoint, complete or not, and what belongs to it.

    Attributes:
        layout: Names of its weights, with their root.
        prefix: What stands before the names of the encoder, without the last dot.
        weights: Names in the file by the names in our models, those of the decoder and
            of anything else at the same place as well.
    """

    layout: Layout
    prefix: str
    weights: Mapping[str, str]

    @property
    def complete(self) -> bool:
        """Whether no weight of an encoder is missing."""
        depth = count_blocks(self.weights, "encoder")
        blocks = (f"blocks.{i}.{name}" for i in range(depth) for name in _BLOCK)
        wanted = {f"encoder.{name}" for name in (*_ENDS, *blocks)}
        return depth > 0 and wanted <= self.weights.keys()

    def without(self, others: Sequence[Placement]) -> Placement:
        """Returns the placement without complete encoders further inside.

        Args:
            others: Placements in the same file.
        """
        inside = {
            name
            for other in others
            if other.complete and len(other.layout.root) > len(self.layout.root)
            for name in other.weights.values()
        }
        own = {ours: name for ours, name in self.weights.items() if name not in inside}
        return replace(self, weights=own)

    @property
    def shown(self) -> str:
        """The prefix for a message."""
        return self.prefix or "no prefix"


def place_encoder(
    state: Mapping[str, Tensor], path: Path, prefix: str | None = None
) -> Placement:
    """Finds the encoder of a checkpoint, whatever stands before its names.

    Fine-tuning, distillation and averaging save an encoder as a part of something else.
    A complete one is preferred to parts of another, so that a checkpoint is never half
    loaded; without a complete one the checks of the fit name what is missing.

    Args:
        state: Tensors by the names that they have in the file, without wrappers.
        path: The file, for the error message.
        prefix: What stands before the names of the wanted encoder, or the first parts
            of that, such as "teacher"; None where there should be one encoder only.

    Returns:
        The placement; without what belongs to another complete encoder.

    Raises:
        UsageError: If there are several complete encoders with different weights, none
            under `prefix`, or none of a known layout.
    """
    everywhere = _find_all(state)
    found = everywhere if prefix is None else _choose(everywhere, prefix, path)
    complete = _without_copies([one for one in found if one.complete], state)
    if len(complete) > 1:
        names = " and ".join(one.shown for one in complete)
        raise UsageError(
            f"The weights in {path} hold {len(complete)} complete encoders, under "
            f"{names}. Choose one by its prefix: {path}#{complete[-1].prefix}"
        )
    if complete or found:
        return (complete or found)[0].without(everywhere)
    layout = find_layout(state, path)
    return Placement(layout, "", {layout.ours(n): n for n in state if layout.holds(n)})


def _find_all(state: Mapping[str, Tensor]) -> list[Placement]:
    """Returns all places with an encoder's first weight, the largest model first."""
    found = []
    for name in state:
        for layout in LAYOUTS:
            anchor = layout.theirs(f"encoder.{_ANCHOR}")
            if f".{name}".endswith(f".{anchor}"):
                rooted = layout.under(name.removesuffix(anchor))
                prefix = rooted.theirs(f"encoder.{_ANCHOR}").rpartition("patch_embed")[
                    0
                ]
                weights = {rooted.ours(n): n for n in state if rooted.holds(n)}
                found.append(Placement(rooted, prefix.removesuffix("."), weights))
                break
    return sorted(found, key=lambda one: len(one.weights), reverse=True)


def _choose(found: list[Placement], prefix: str, path: Path) -> list[Placement]:
    """Returns those under a prefix."""
    wanted = prefix.removesuffix(".")
    chosen = [one for one in found if one.prefix == wanted] or [
        one for one in found if one.prefix.startswith(f"{wanted}.")
    ]
    if not chosen:
        names = ", ".join(one.shown for one in found) or "none"
        raise UsageError(
            f"There is no encoder under {prefix!r} in {path}. Encoders there: {names}."
        )
    return chosen


def _without_copies(
    found: list[Placement], state: Mapping[str, Tensor]
) -> list[Placement]:
    """Returns one of those with equal weights: a module may have two names."""
    different: list[Placement] = []
    for one in found:
        if not any(_equal(one, other, state) for other in different):
            different.append(one)
    return different


def _equal(one: Placement, other: Placement, state: Mapping[str, Tensor]) -> bool:
    first, second = (
        {n: state[t] for n, t in which.weights.items() if n.startswith("encoder.")}
        for which in (one, other)
    )
    return all(n in first and torch.equal(t, first[n]) for n, t in second.items())
