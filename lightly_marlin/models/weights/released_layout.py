"""Our weights in the layout of the released checkpoints."""

from __future__ import annotations

from torch import Tensor

from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.models.marlin import Marlin
from lightly_marlin.models.weights.layout import RELEASED

__all__ = ["released_state"]


def released_state(model: Marlin | MarlinEncoder) -> dict[str, Tensor]:
    """Renames and reshapes weights for MARLIN's own package.

    Saved by `torch.save` as `NAME.encoder.pt` (an encoder) or `NAME.full.pt` (a whole
    model), they can be read by `marlin_pytorch.Marlin.from_file` for a model of the
    same sizes.

    Args:
        model: The model or encoder; not modified.

    Returns:
        Tensors on the CPU by their released names; the kernel of the patch embedding
        has the shape of a convolution's, (D, C, t, p, p).
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
