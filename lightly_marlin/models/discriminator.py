"""Discriminator of reconstructed and real tubelets."""

from __future__ import annotations

from torch import Tensor, nn

from lightly_marlin.models.blocks import init_linear_and_norm

__all__ = ["MarlinDiscriminator"]


class MarlinDiscriminator(nn.Module):
    """Scores every tubelet by itself, from its pixels [0].

    An MLP with one hidden layer. Its output is an unbounded Wasserstein score, not a
    probability.

    - [0]: MARLIN: Masked Autoencoder for facial video Representation LearnINg, 2023,
      https://arxiv.org/abs/2211.06627

    Args:
        patch_dim: Pixel values P of a tubelet (`MarlinConfig.patch_dim`).
        hidden_dim: Width of the hidden layer; in the released model, four times the
            width of the decoder.
    """

    state_prefix = "discriminator."

    def __init__(self, patch_dim: int, hidden_dim: int) -> None:
        super().__init__()
        for name, value in (("patch_dim", patch_dim), ("hidden_dim", hidden_dim)):
            if value < 1:
                raise ValueError(f"Invalid {name} ({value}). It must be at least 1.")
        self.fc1 = nn.Linear(patch_dim, hidden_dim)
        self.act = nn.LeakyReLU(0.01)
        self.fc2 = nn.Linear(hidden_dim, 1)
        self.apply(init_linear_and_norm)

    def forward(self, patches: Tensor) -> Tensor:
        """Scores tubelets.

        Args:
            patches: Pixels (..., P) of tubelets in (channel, time, row, column) order,
                floating point, about [0, 1].

        Returns:
            Scores (..., 1), higher for tubelets that look real.

        Raises:
            ValueError: If the last dimension is not P.
        """
        if patches.shape[-1] != self.fc1.in_features:
            raise ValueError(
                f"Invalid shape of patches {tuple(patches.shape)}. "
                f"Supported is (..., {self.fc1.in_features})."
            )
        scores: Tensor = self.fc2(self.act(self.fc1(patches)))
        return scores
