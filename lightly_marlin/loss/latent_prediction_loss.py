"""Loss of predicted against true features of masked tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightly_marlin.kernels import gather_tokens
from lightly_marlin.kernels.checks import (
    check_choice,
    check_floating,
    check_same_device,
)

__all__ = ["LatentPredictionLoss"]

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "mse": F.mse_loss,
}


class LatentPredictionLoss(nn.Module):
    """Mean difference between predicted tokens and those of a teacher.

    Any other features of tokens can take the teacher's place. The teacher's tokens are
    normalised over their width, by a LayerNorm without weights (eps 1e-5); the
    prediction is not. This is V-JEPA's loss with "l1" [0] and I-JEPA's in Lightly's
    example with "smooth_l1" (beta 1) [1]. No gradient reaches the teacher.

    A constant teacher gives a loss of 0: judge features by their spread, not by this
    loss. Predicting zero for normally distributed features scores 0.80 with "l1", 0.42
    with "smooth_l1" and 1 with "mse".

    - [0]: V-JEPA, 2024, https://arxiv.org/abs/2404.08471
    - [1]: I-JEPA, 2023, https://arxiv.org/abs/2301.08243

    Args:
        loss: "l1", "smooth_l1" or "mse".
        normalize_target: Whether the teacher's tokens are normalised.

    Raises:
        ValueError: If `loss` is not supported.

    Examples:
        >>> idx_mask = torch.arange(1412).repeat(2, 1)  # of 1568 tokens
        >>> pred = torch.zeros(2, 1412, 384, requires_grad=True)
        >>> loss = LatentPredictionLoss()(pred, torch.randn(2, 1568, 384), idx_mask)
        >>> loss.backward()
    """

    def __init__(self, loss: str = "l1", normalize_target: bool = True) -> None:
        super().__init__()
        check_choice("loss", loss, tuple(_LOSSES))
        self.loss = loss
        self.normalize_target = normalize_target

    def forward(self, pred: Tensor, teacher_tokens: Tensor, idx: Tensor) -> Tensor:
        """Returns the loss of one batch, computed in float32 even under autocast.

        Args:
            pred: (B, n, D) floating point, the predicted tokens; n at least 1.
            teacher_tokens: (B, N, D) floating point, all tokens of the unmasked clips.
                Detached.
            idx: (B, n) int64 in [0, N), the tokens of `pred`.

        Returns:
            Scalar, float32 (float64 if `pred` or `teacher_tokens` are).

        Raises:
            ValueError: If a shape, dtype, device or index is invalid.
        """
        check_floating("pred", pred, ndim=3)
        target = gather_tokens(teacher_tokens.detach(), idx)
        check_same_device("pred", pred, target.device)
        if pred.shape != target.shape or pred.numel() == 0:
            raise ValueError(
                f"Invalid shape of pred {tuple(pred.shape)}. Supported is (B, n, D) "
                f"= {tuple(target.shape)} of idx and teacher_tokens, not empty."
            )
        dtype = torch.promote_types(pred.dtype, target.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        with torch.autocast(pred.device.type, enabled=False):
            target = target.to(dtype)
            if self.normalize_target:
                target = F.layer_norm(target, target.shape[-1:])
            return _LOSSES[self.loss](pred.to(dtype), target)
