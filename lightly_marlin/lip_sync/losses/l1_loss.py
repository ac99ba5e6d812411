"""L1 loss of generated face crops, with weights for lower halves and mouths."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightly_marlin.kernels.checks import check_floating
from lightly_marlin.lip_sync.networks.lower_half import lower_half

__all__ = ["LipSyncL1Loss"]


class LipSyncL1Loss(nn.Module):
    """Weighted sum of mean absolute errors: over crops, over lower halves, over mouths.

    Wav2Lip has the whole crop alone, weights 1 and 0 [0]. The weight of the lower half,
    which the generator has to invent, is ours, and so is that of the mouth: lips are a
    few per cent of a crop, whose other pixels cannot be told from the sound, and their
    noise hides what can be.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010

    Args:
        whole_weight: Weight of the mean over the crop, at least 0.
        lower_weight: Weight of the mean over the rows from H // 2 on, at least 0.
        mouth_weight: Weight of the mean over the pixels of mouths, at least 0.

    Raises:
        ValueError: If a weight is negative, or the first two are 0.

    Examples:
        >>> generated = torch.rand(1, 3, 16, 96, 96, requires_grad=True)
        >>> LipSyncL1Loss()(generated, torch.rand(1, 3, 16, 96, 96)).backward()
    """

    def __init__(
        self,
        whole_weight: float = 1.0,
        lower_weight: float = 1.0,
        mouth_weight: float = 0.0,
    ) -> None:
        super().__init__()
        if not mouth_weight >= 0:
            raise ValueError(
                f"Invalid mouth_weight {mouth_weight}: must not be negative."
            )
        if not (whole_weight >= 0 and lower_weight >= 0) or (
            whole_weight == lower_weight == 0
        ):
            raise ValueError(
                f"Invalid weights ({whole_weight} and {lower_weight}): neither may be "
                "negative, and one must be positive."
            )
        self.whole_weight = whole_weight
        self.lower_weight = lower_weight
        self.mouth_weight = mouth_weight

    def forward(
        self, generated: Tensor, target: Tensor, mouths: Tensor | None = None
    ) -> Tensor:
        """Returns the loss of one batch, computed in float32 even under autocast.

        Args:
            generated: (B, 3, T, H, W) floating point in [0, 1].
            target: The true crops, of the same shape and range. Detached.
            mouths: bool tensor (B, T, h, w): cells of the crops with lips or inner
                mouth, of any size. Needed if `mouth_weight` is not 0; where none was
                found, that part is 0.

        Returns:
            Scalar, float32 (float64 if an argument is).

        Raises:
            ValueError: If the shapes differ or are empty, a dtype is not floating
                point, or mouths are missing or of another number of frames.
        """
        check_floating("generated", generated, ndim=5)
        check_floating("target", target, ndim=5)
        if generated.shape != target.shape or generated.numel() == 0:
            raise ValueError(
                "generated and target must have the same shape (B, 3, T, H, W) and not "
                f"be empty, got {tuple(generated.shape)} and {tuple(target.shape)}."
            )
        dtype = torch.promote_types(generated.dtype, target.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        error = (generated.to(dtype) - target.detach().to(dtype)).abs()
        whole, lower = error.mean(), lower_half(error).mean()
        total = self.whole_weight * whole + self.lower_weight * lower
        if self.mouth_weight:
            total = total + self.mouth_weight * _mouth_error(error, mouths)
        return total


def _mouth_error(error: Tensor, mouths: Tensor | None) -> Tensor:
    """Returns the mean of errors (B, 3, T, H, W) where mouths are; 0 without any."""
    wanted = error.shape[0], error.shape[2]
    if mouths is None or mouths.ndim != 4 or mouths.shape[:2] != wanted:
        found = None if mouths is None else tuple(mouths.shape)
        raise ValueError(
            f"Invalid mouths {found}. With a mouth_weight, {(*wanted, 'h', 'w')} is "
            "needed."
        )
    cells = mouths.to(error.dtype)
    pixels = F.interpolate(cells, tuple(error.shape[-2:]), mode="nearest")
    return (error.mean(dim=1) * pixels).sum() / pixels.sum().clamp(min=1)
