"""Fused gathers and losses for masked video models; needs torch alone.

Each function is a `torch.library.custom_op` with a Triton kernel for CUDA
(`LIGHTLY_MARLIN_KERNELS=0` turns those off): it works on any strides, is
differentiable where a gradient exists, and compiles with `fullgraph=True`. The plain
PyTorch versions in `lightly_marlin.kernels.reference` have the same names and are the
ground truth for values and gradients.
"""

from __future__ import annotations

if __name__ != "lightly_marlin.kernels":
    # A bare `kernels` would shadow Hugging Face's package of that name.
    raise ImportError(
        f"This package cannot be imported as {__name__!r}: "
        "import lightly_marlin.kernels instead."
    )

from lightly_marlin.kernels import reference
from lightly_marlin.kernels.assemble_decoder_tokens import assemble_decoder_tokens
from lightly_marlin.kernels.gather_tokens import gather_tokens
from lightly_marlin.kernels.gather_tubelets import gather_tubelets
from lightly_marlin.kernels.masked_reconstruction_loss import (
    masked_reconstruction_loss,
)

__all__ = [
    "assemble_decoder_tokens",
    "gather_tokens",
    "gather_tubelets",
    "masked_reconstruction_loss",
    "reference",
]
