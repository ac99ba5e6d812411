"""Weights of ours in the layout of the released checkpoints."""

from __future__ import annotations

from torch import Tensor

from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.models.marlin import Marlin
from lightly_marlin.models.weights.layout import RELEASED

__all__ = ["released_state"]


def released_state(model: Marlin | MarlinEncoder) -> dict[str, Tensor]:
    """Renames and reshapes weights, so that MARLIN's own package loads them.

    Saved by `torch.save` as `NAME.encoder.pt` (an encoder) or `NAME.full.pt` (a whole
    model), they are what `marlin_pytorch.Marlin.from_file` reads for a model of the
    same sizes.

    Args:
        model: The model or encoder; left as it is.

    Returns:
        Tensors on the CPU by their names there; the kernel of the patch embedding is
        that of a convolution, (D, C, t, p, p).
    """
    config = model.config
    tensors = {}
    for name, tensor in model.state_dict().items():
        ours = model.state_prefix + name
        value = tensor.detach().cpu().contiguous()
        if ours == "encoder.patch_embed.weight":
            value = value.unflatten(1, config.tubelet_shape)
        tensors[RELEASED.theirs(ours)] = value
    return tensors
