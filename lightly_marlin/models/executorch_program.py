"""Encoders as programs of ExecuTorch, for phones and other small devices.

ExecuTorch [0] runs them without Python; its XNNPACK backend computes the matrix
products on ARM and x86 CPUs. Its Python package is only needed to write and try a
program: pip install "lightly-marlin[executorch]", in the release that matches the
installed PyTorch (1.5 for 2.14).

- [0]: ExecuTorch, https://docs.pytorch.org/executorch
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from timm.models.vision_transformer import Attention
from torch import Tensor

from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.utils.dependency import require

__all__ = ["executorch_program", "read_executorch"]

_XNNPACK = "executorch.backends.xnnpack"
_PURPOSE = "Exporting to ExecuTorch"


def executorch_program(
    plain: MarlinEncoder, clips: Tensor, *, int8: bool = False
) -> bytes:
    """Lowers an encoder to an ExecuTorch program, delegated to XNNPACK where possible.

    Takes a minute or more for the larger models.

    Args:
        plain: The encoder, as `exportable` returns it; not modified.
        clips: Example of its input, uint8 tensor (B, C, T, H, W) in [0, 255] with B of
            at least 2. The program takes 1 to B clips at once and needs the memory for
            B, because ExecuTorch plans memory ahead of time.
        int8: Quantise linear layers to int8: weights statically per output channel,
        activations dynamically by their range in each call.

    Returns:
        The content of a `.pte` file.

    Raises:
        ModuleNotFoundError: If ExecuTorch is not installed.
        ValueError: If the example is a single clip, because exporters would make its
            batch size constant.
    """
    if len(clips) < 2:
        raise ValueError(
            f"Invalid number of clips ({len(clips)}). It must be 2 or more."
        )
    exir = require("executorch.exir", _PURPOSE)
    partition = require(f"{_XNNPACK}.partition.xnnpack_partitioner", _PURPOSE)
    partitioners = [partition.XnnpackPartitioner()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = _exported(_with_unfused_attention(plain), clips)
        if int8:
            program = _exported(_quantised(program, clips), clips)
            settings = require(f"{_XNNPACK}.partition.config.xnnpack_config", _PURPOSE)
            dynamic = partition.XnnpackPartitioner(
                config_precisions=settings.ConfigPrecisionType.DYNAMIC_QUANT,
                per_op_mode=True,
            )
            # First, so that the float32 partitioner does not split the layers it takes.
            partitioners.insert(0, dynamic)
        edge = exir.to_edge_transform_and_lower(program, partitioner=partitioners)
        return bytes(edge.to_executorch().buffer)


def read_executorch(path: str | Path) -> Callable[[Tensor], Tensor]:
    """Loads a program into ExecuTorch's runtime.

    Args:
        path: A `.pte` file.

    Returns:
        Function that encodes uint8 clips (B, C, T, H, W), with B up to the program's
        limit.

    Raises:
        ModuleNotFoundError: If ExecuTorch is not installed.
    """
    runtime = require("executorch.runtime", "Running ExecuTorch").Runtime.get()
    method = runtime.load_program(Path(path)).load_method("forward")

    def encode(clips: Tensor) -> Tensor:
        # The result is in the program's memory, which the next call overwrites.
        features: Tensor = method.execute([clips.contiguous()])[0].clone()
        return features

    return encode


def _with_unfused_attention(plain: MarlinEncoder) -> MarlinEncoder:
    """Returns a copy whose attention is two matrix products and a softmax.

    PyTorch's fused attention also looks for fully masked rows, with operations that
    XNNPACK does not support.
    """
    unfused = copy.deepcopy(plain)
    for module in unfused.modules():
        if isinstance(module, Attention):
            module.fused_attn = False
    return unfused


def _exported(module: torch.nn.Module, clips: Tensor) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=len(clips))
    return torch.export.export(module, (clips,), dynamic_shapes=({0: batch},))


@torch.no_grad()
def _quantised(program: torch.export.ExportedProgram, clips: Tensor) -> torch.nn.Module:
    pt2e = require("torchao.quantization.pt2e.quantize_pt2e", _PURPOSE)
    xnnpack = require(f"{_XNNPACK}.quantizer.xnnpack_quantizer", _PURPOSE)
    layers: Any = xnnpack.get_symmetric_quantization_config(
        is_per_channel=True, is_dynamic=True
    )
    quantiser = xnnpack.XNNPACKQuantizer().set_global(layers)
    prepared = pt2e.prepare_pt2e(program.module(), quantiser)
    prepared(clips)  # Observers record the weights when they are used.
    converted: torch.nn.Module = pt2e.convert_pt2e(prepared)
    return converted
