"""A training step of all four operations, captured into a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lightly_marlin import kernels
from lightly_marlin.kernels.benchmarks.cases import make_cases
from lightly_marlin.kernels.benchmarks.timing import wall_microseconds
from lightly_marlin.kernels.benchmarks.workload import Workload

__all__ = ["measure_graph"]


def measure_graph(
    workload: Workload, batch_size: int, device: torch.device, repeats: int
) -> dict[str, float]:
    """Times a step of a small masked autoencoder eagerly and as a graph.

    Embedding, positions, assembly and loss are joined by single matrix products, so
    that launches and not arithmetic decide.

    Args:
        workload: Sizes of the clips.
        batch_size: Clips B.
        device: A CUDA device.
        repeats: Timed steps.

    Returns:
        `eager_us` and `graph_us`, medians with the host's time, and `difference`, the
        largest one between
        gradients of an eager step and of a replayed one, relative to the largest.
    """
    step, gradients = _make_step(workload, batch_size, device)
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream(device).wait_stream(side)
    eager = wall_microseconds(step, repeats)
    expected = [grad.clone() for grad in gradients()]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    for grad in gradients():
        grad.fill_(float("nan"))
    graph.replay()
    differences = [
        (grad - exact).abs().max() / exact.abs().max()
        for grad, exact in zip(gradients(), expected, strict=True)
    ]
    return {
        "eager_us": eager,
        "graph_us": wall_microseconds(graph.replay, repeats),
        "difference": float(torch.stack(differences).max()),
    }


def _make_step(
    workload: Workload, batch_size: int, device: torch.device
) -> tuple[Callable[[], None], Callable[[], list[Tensor]]]:
    """Returns the step, and what reads the gradients that it leaves."""
    w = workload
    case = make_cases(w, batch_size, device, with_compile=False)[3].inputs
    clips = torch.randint(
        256,
        (batch_size, w.channels, w.frames, w.side, w.side),
        device=device,
        dtype=torch.uint8,
    )
    options = {"device": device, "dtype": torch.bfloat16, "requires_grad": True}
    embed = torch.randn(w.num_pixels, w.decoder_dim, **options)  # type: ignore[call-overload]
    mask_token = case["mask_token"].clone().requires_grad_()
    idx_keep, idx_mask = case["idx_keep"], case["idx_mask"]
    everything = torch.arange(w.num_tokens, device=device).expand(batch_size, -1)
    masked = everything[:, w.num_visible :]
    sizes: dict[str, Any] = {
        "tubelet_size": w.tubelet_size,
        "patch_size": w.patch_size,
    }
    learned = [embed, mask_token]

    def step() -> None:
        pixels = kernels.gather_tubelets(clips, idx_keep, dtype=torch.bfloat16, **sizes)
        tokens = kernels.assemble_decoder_tokens(
            pixels @ embed, mask_token, case["pos_embed"], idx_keep, idx_mask
        )
        pred = kernels.gather_tokens(tokens, masked, case["pos_embed"]) @ embed.T
        loss = kernels.masked_reconstruction_loss(pred, clips, idx_mask, **sizes)
        for parameter in learned:
            parameter.grad = None
        torch.autograd.backward(loss)

    return step, lambda: [p.grad for p in learned if p.grad is not None]
