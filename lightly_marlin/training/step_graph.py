"""CUDA graph of a training step: one launch, without the host's time per operation.

It pays where the host cannot keep up, for small batches and models. What is captured
must be the same at every step: shapes, the addresses of inputs, and all numbers that
are no tensors, such as a learning rate.

- [0]: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

__all__ = ["StepGraph", "capture_on_cuda"]

Update = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def capture_on_cuda(
    update: Update, inputs: dict[str, Tensor]
) -> tuple[Callable[[], None], dict[str, Tensor]]:
    """Captures an update without running it.

    Args:
        update: The update.
        inputs: Its inputs, which the graph reads at each replay.

    Returns:
        The replay, and the outputs that each replay writes.
    """
    graph = torch.cuda.CUDAGraph()
    # What keeps its blocks alive would be captured with it.
    gc.collect()
    # A loader's thread pins memory all the while, which only this thread must not do.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outputs = update(inputs)
    return graph.replay, outputs


class StepGraph:
    """Update that runs as itself for some steps and as a graph from then on.

    Args:
        update: Takes tensors by name and returns tensors by name; everything else that
            it reads and writes is in place, and no number in it changes.
        warmup: Steps that run before the capture, which allocate what stays.
        capture: Captures the update; see `capture_on_cuda`.
    """

    def __init__(
        self,
        update: Update,
        *,
        warmup: int = 3,
        capture: Callable[
            [Update, dict[str, Tensor]],
            tuple[Callable[[], None], dict[str, Tensor]],
        ] = capture_on_cuda,
    ) -> None:
        self.update = update
        self.warmup = warmup
        self._capture = capture
        self._inputs: dict[str, Tensor] = {}
        self._outputs: dict[str, Tensor] = {}
        self._replay: Callable[[], None] | None = None
        self._stream: torch.cuda.Stream | None = None
        self._steps = 0

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Runs the update.

        Args:
            inputs: Tensors of the same names, shapes and dtypes at each call.

        Returns:
            The outputs, copied: the next call leaves them as they are.

        Raises:
            ValueError: If the inputs are not like those of the capture.
        """
        if self._steps < self.warmup:
            self._steps += 1
            return self._warm_up(dict(inputs))
        if self._replay is None:
            self._inputs = {name: value.clone() for name, value in inputs.items()}
            self._replay, self._outputs = self._capture(self.update, self._inputs)
        else:
            _check(inputs, self._inputs)
            for name, value in inputs.items():
                self._inputs[name].copy_(value)
        self._replay()
        return {name: value.clone() for name, value in self._outputs.items()}

    def _warm_up(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Runs the update on another than the default stream, as captures do [0]."""
        if not any(value.is_cuda for value in inputs.values()):
            return self.update(inputs)
        if self._stream is None:
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            outputs = self.update(inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return outputs


def _check(inputs: Mapping[str, Tensor], captured: Mapping[str, Tensor]) -> None:
    given, expected = (
        {name: (tuple(x.shape), x.dtype) for name, x in tensors.items()}
        for tensors in (inputs, captured)
    )
    if given != expected:
        raise ValueError(
            f"Invalid inputs {given}: the graph was captured with {expected}."
        )
