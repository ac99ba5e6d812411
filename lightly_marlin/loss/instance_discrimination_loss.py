"""Loss between a masked view's vector and its teacher's."""

from __future__ import annotations

import torch
from lightly.loss import NegativeCosineSimilarity
from torch import Tensor, nn

from lightly_marlin.kernels.checks import check_floating

__all__ = ["InstanceDiscriminationLoss"]


class InstanceDiscriminationLoss(nn.Module):
    """Half the negative cosine between an online and a target vector of each clip.

    FSFM's loss, one direction of SimSiam's [0, 1]; 2 + 4 times its value is BYOL's
    loss. No gradient reaches the target. Without a predictor on the online branch and a
    teacher on the other, all clips collapse to one vector, for which the loss is -0.5.

    - [0]: FSFM, 2024, https://arxiv.org/abs/2412.12032
    - [1]: SimSiam, 2020, https://arxiv.org/abs/2011.10566

    Examples:
        >>> online = torch.randn(4, 256, requires_grad=True)
        >>> loss = InstanceDiscriminationLoss()(online, torch.randn(4, 256))
        >>> loss.backward()
    """

    def __init__(self) -> None:
        super().__init__()
        self.negative_cosine = NegativeCosineSimilarity()

    def forward(self, online: Tensor, target: Tensor) -> Tensor:
        """Returns the loss of one batch, computed in float32 even under autocast.

        Args:
            online: (B, E) floating point: the predictor's output for the masked view.
            target: (B, E) floating point: the teacher's projection of the unmasked
                clip. Detached.

        Returns:
            Scalar in [-0.5, 0.5], float32 (float64 if an argument is).

        Raises:
            ValueError: If the shapes differ or are empty, or a dtype is not floating
                point.
        """
        check_floating("online", online, ndim=2)
        check_floating("target", target, ndim=2)
        if online.shape != target.shape or online.numel() == 0:
            raise ValueError(
                "online and target must have the same shape (B, E) and not be empty, "
                f"got {tuple(online.shape)} and {tuple(target.shape)}."
            )
        dtype = torch.promote_types(online.dtype, target.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        with torch.autocast(online.device.type, enabled=False):
            loss: Tensor = 0.5 * self.negative_cosine(
                online.to(dtype), target.detach().to(dtype)
            )
        return loss
