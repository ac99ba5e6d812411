"""Parameter groups whose learning rates fall from the head to the first layer.

timm's `param_groups_layer_decay` only notes an `lr_scale` in each group, which torch's
optimizers and schedulers ignore. Here the rates are multiplied, so that any optimizer
uses them and a `LambdaLR` scales them all.

- [0]: BEiT, 2021, https://arxiv.org/abs/2106.08254 (layer decay of fine-tuning)
- [1]: VideoMAE, 2022, https://arxiv.org/abs/2203.12602
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from torch import nn

__all__ = ["ParameterGroup", "layer_decay_groups"]


class ParameterGroup(TypedDict):
    """Group of parameters for a torch optimizer.

    Attributes:
        params: The parameters.
        lr: Learning rate.
        weight_decay: Weight decay.
        names: Names of the parameters; `NAME.PARAMETER` with the name of their module.
    """

    params: list[nn.Parameter]
    lr: float
    weight_decay: float
    names: list[str]


def layer_decay_groups(
    encoder: nn.Module,
    rate: float,
    *,
    heads: Mapping[str, nn.Module] | None = None,
    weight_decay: float = 0.05,
    layer_decay: float = 0.75,
) -> list[ParameterGroup]:
    """Groups the trainable parameters of an encoder and its heads.

    Of L blocks, block i (from 0) has the rate * decay ** (L - i), the tubelet embedding
    rate * decay ** (L + 1), the final norm and the heads the rate itself [0, 1]. Biases
    and other one-dimensional parameters have no weight decay, nor have the parameters
    that `encoder.no_weight_decay()` names. Frozen parameters are left out.

    Args:
        encoder: Module with timm's `group_matcher` and `no_weight_decay`, such as a
            `MarlinEncoder`.
        rate: Learning rate of the heads.
        heads: Further modules by name, such as a classifier.
        weight_decay: Weight decay of matrices.
        layer_decay: Ratio of the rates of neighbouring layers, in (0, 1].

    Returns:
        Groups that hold every trainable parameter once, the first layer first.

    Raises:
        ValueError: If a number is out of range.
    """
    for name, value, valid, allowed in (
        ("rate", rate, rate >= 0, "0 or more"),
        ("weight_decay", weight_decay, weight_decay >= 0, "0 or more"),
        ("layer_decay", layer_decay, 0 < layer_decay <= 1, "in (0, 1]"),
    ):
        if not valid:
            raise ValueError(f"Invalid {name} {value}: must be {allowed}.")
    layers = _layers_of(encoder)
    last = max(layers.values())
    exempt = set(_call(encoder, "no_weight_decay"))
    groups: dict[tuple[int, float], ParameterGroup] = {}

    def add(name: str, parameter: nn.Parameter, layer: int, decays: bool) -> None:
        decay = weight_decay if decays and parameter.ndim > 1 else 0.0
        empty = ParameterGroup(
            params=[],
            lr=rate * layer_decay ** (last - layer),
            weight_decay=decay,
            names=[],
        )
        group = groups.setdefault((layer, decay), empty)
        group["params"].append(parameter)
        group["names"].append(name)

    for name, parameter in encoder.named_parameters():
        if parameter.requires_grad:
            add(f"encoder.{name}", parameter, layers[name], name not in exempt)
    for head, module in (heads or {}).items():
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                add(f"{head}.{name}", parameter, last, True)
    return [groups[key] for key in sorted(groups)]


def _layers_of(encoder: nn.Module) -> dict[str, int]:
    """Returns the layer of every parameter by its name; the first layer is 0."""
    from timm.models import group_parameters

    layers: dict[str, int] = group_parameters(
        encoder, _call(encoder, "group_matcher"), reverse=True
    )
    return layers


def _call(encoder: nn.Module, method: str) -> Any:
    if not hasattr(encoder, method):
        raise ValueError(
            f"Invalid encoder of type {type(encoder).__name__}: layer decay needs "
            f"timm's method {method}, which tells its layers."
        )
    return getattr(encoder, method)()
