"""Batch norm of pooled features before a head, without weights.

- [0]: Masked Autoencoders Are Scalable Vision Learners, 2021,
  https://arxiv.org/abs/2111.06377 (appendix A.1, linear probing)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["FeatureNorm"]

# As in the code of [0]; features may vary hardly more than this.
_EPS = 1e-6
_MOMENTUM = 0.1


class FeatureNorm(nn.BatchNorm1d):
    """Standardises features, in training over the batch.

    Means over a face are much alike: from clip to clip they may vary by a hundredth of
    their size, and a head cannot tell these differences from the shift that the last
    step of the encoder caused. [0] has this layer before the probe of a frozen encoder.
    Here the encoder moves, and training clips are augmented and mixed: `measure` takes
    the statistics for prediction from features of clips as they are.

    Args:
        num_features: Size D of the features.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features, eps=_EPS, affine=False)
        self._batches = 0

    def measure(self, features: Tensor) -> None:
        """Takes over mean and variance of features; of fewer than two, nothing.

        Args:
            features: Floating-point tensor (n, D).
        """
        if len(features) > 1:
            variance, mean = torch.var_mean(features.float(), dim=0)
            self.running_mean.copy_(mean)
            self.running_var.copy_(variance)

    def forward(self, features: Tensor) -> Tensor:
        """Standardises features, in float32.

        Args:
            features: Floating-point tensor (B, D).

        Returns:
            Tensor of the same shape and dtype.

        Raises:
            ValueError: In training, if there are fewer than two.
        """
        if not self.training:
            scale = (self.running_var.float() + self.eps).rsqrt()
            standard = (features.float() - self.running_mean.float()) * scale
            return standard.to(features.dtype)
        if len(features) < 2:
            raise ValueError(
                f"Invalid batch of {len(features)} in training with batch norm: must "
                "be at least 2 clips."
            )
        # The first batches count alike: the initial statistics are those of nothing.
        self._batches += 1
        self.momentum = max(_MOMENTUM, 1 / self._batches)
        standard = super().forward(features.float())
        return standard.to(features.dtype)
