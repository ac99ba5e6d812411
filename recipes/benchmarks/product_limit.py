"""Lower bound on the time of an encoder's matrix products on this processor.

Matrix products take nine tenths of the encoder's time, so their rate is the limit for
any implementation of the same computation. The rate is measured on the encoder's
largest product, as `lightly_marlin.models.cpu.linear` computes it.
"""

from __future__ import annotations

import copy
import time

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lightly_marlin.models import MarlinEncoder
from lightly_marlin.models.cpu.linear import linear

__all__ = ["count_flops", "product_rate"]

_REPEATS = 20


@torch.no_grad()
def count_flops(encoder: MarlinEncoder) -> int:
    """Returns the floating-point operations of the products for one clip.

    Args:
        encoder: An encoder on the CPU.

    Returns:
        Two operations per multiplication and addition; softmax, norms and GELU are not
        counted.
    """
    config = encoder.config
    size = (1, 3, config.num_frames, config.img_size, config.img_size)
    # The counter does not support the fused float32 attention on CPUs.
    unfused = copy.deepcopy(encoder).to(torch.bfloat16)
    with FlopCounterMode(display=False) as counter:
        unfused(torch.zeros(size, dtype=torch.uint8))
    return int(counter.get_total_flops())


@torch.no_grad()
def product_rate(encoder: MarlinEncoder, dtype: torch.dtype) -> float:
    """Measures the highest rate of the product of tokens and hidden layer.

    Args:
        encoder: Encoder whose sizes to use.
        dtype: Data type of the product.

    Returns:
        Floating-point operations per second, in the fastest of 20 repeats.
    """
    config = encoder.config
    width, hidden = config.encoder_dim, int(config.encoder_dim * config.mlp_ratio)
    tokens = torch.randn(config.num_tokens, width).to(dtype)
    weight = torch.randn(hidden, width).to(dtype)
    fastest = min(_seconds(tokens, weight) for _ in range(_REPEATS))
    return 2 * config.num_tokens * width * hidden / fastest


def _seconds(tokens: Tensor, weight: Tensor) -> float:
    start = time.perf_counter()
    linear(tokens, weight)
    return time.perf_counter() - start
