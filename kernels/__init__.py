"""Fused gathers and losses for masked video models; needs torch alone.

Each function is a `torch.library.custom_op` with a Triton kernel for CUDA
(`LIGHTLY_MARLIN_KERNELS=0` turns those off): it works on any strides, is
differentiable where a gradient exists, and compiles with `fullgraph=True`. The plain
PyTorch versions in `lightly_marlin.kernels.reference` have the same names and are the
ground truth for values and gradients. `find_fallbacks` lists what they computed on a
GPU because a kernel could not.
"""

from __future__ import annotations

from typing import NoReturn

if __name__ == "lightly_marlin.kernels":
    from lightly_marlin.kernels import reference
    from lightly_marlin.kernels.assemble_decoder_tokens import assemble_decoder_tokens
    from lightly_marlin.kernels.dispatch import find_fallbacks
    from lightly_marlin.kernels.gather_tokens import gather_tokens
    from lightly_marlin.kernels.gather_tubelets import gather_tubelets
    from lightly_marlin.kernels.masked_reconstruction_loss import (
        masked_motion_losses,
        masked_reconstruction_loss,
    )
else:
    # With the checkout on the path, whoever asks whether there is Hugging Face's
    # package `kernels` finds this folder: an empty package, older than any of theirs.
    __version__ = "0"

    def __getattr__(name: str) -> NoReturn:
        kind = ImportError if name in __all__ else AttributeError
        raise kind(f"{__name__}.{name}: import lightly_marlin.kernels instead.")


__all__ = [
    "assemble_decoder_tokens",
    "find_fallbacks",
    "gather_tokens",
    "gather_tubelets",
    "masked_motion_losses",
    "masked_reconstruction_loss",
    "reference",
]
