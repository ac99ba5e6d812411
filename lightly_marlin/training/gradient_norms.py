"""Norms of the gradients that single terms of a loss send to the same weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

__all__ = ["gradient_norms"]


def gradient_norms(
    losses: Mapping[str, Tensor], parameters: Iterable[nn.Parameter]
) -> dict[str, Tensor]:
    """Returns the L2 norm of the gradient of each term of a loss.

    It shows which term decides what an encoder learns, which the values of losses do
    not: a small loss may have a large gradient. Nothing is added to `.grad`, no hook of
    a parameter runs, and the graph stays for the backward pass of the sum. Each term
    costs a backward pass, so call it every some steps. Under DDP, the gradients are
    those of this process's batch: no other process takes part.

        terms = {"pixels": pixels, "latent": 0.1 * latent}
        norms = gradient_norms(terms, model.encoder.parameters())
        sum(terms.values()).backward()

    Args:
        losses: Scalar tensors by name, weighted as in their sum. One without a graph,
            such as that of a term that is off, counts 0.
        parameters: Weights, such as those of an encoder. Frozen ones, and those that a
            term does not use, count 0.

    Returns:
        Norms by name: scalar tensors without a graph, on the device of their loss.

    Raises:
        ValueError: If a loss is no scalar.
    """
    weights = [weight for weight in parameters if weight.requires_grad]
    return {name: _norm(name, loss, weights) for name, loss in losses.items()}


def _norm(name: str, loss: Tensor, weights: list[nn.Parameter]) -> Tensor:
    if loss.ndim != 0:
        raise ValueError(
            f"Invalid shape of the loss {name} {tuple(loss.shape)}: must be a scalar."
        )
    gradients: tuple[Tensor | None, ...] = ()
    if loss.requires_grad and weights:
        gradients = torch.autograd.grad(
            loss, weights, retain_graph=True, allow_unused=True
        )
    used = [gradient for gradient in gradients if gradient is not None]
    if not used:
        return loss.detach().new_zeros(())
    return get_total_norm(used)
