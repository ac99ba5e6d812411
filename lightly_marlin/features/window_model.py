"""Models that features come from: what they need to have, and their digest."""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightly_marlin.models import Marlin

__all__ = [
    "AnyModel",
    "WindowConfig",
    "WindowModel",
    "device_and_dtype",
    "encoder_of",
    "weights_digest",
]


class WindowConfig(Protocol):
    """Sizes of a model of windows; its `str` differs from that of other models."""

    @property
    def num_frames(self) -> int:
        """Frames of a window."""

    @property
    def img_size(self) -> int:
        """Height and width of a window in pixels."""

    @property
    def encoder_dim(self) -> int:
        """Width of a feature."""

    @property
    def num_tokens(self) -> int:
        """Tokens of a window; the product of `grid`."""

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens along time, height and width."""


class WindowModel(Protocol):
    """Module that turns windows into features, as `MarlinEncoder` does.

    An `nn.Module` with at least one floating-point parameter or buffer, whose device
    and dtype are those of the model.
    """

    @property
    def config(self) -> WindowConfig:
        """Sizes of the model."""

    def __call__(self, images: Tensor) -> Tensor:
        """Returns one feature per window.

        Args:
            images: uint8 tensor (B, 3, T, H, W), RGB in [0, 255].

        Returns:
            Floating-point tensor (B, D).
        """

    def encode(self, images: Tensor) -> Tensor:
        """Returns one feature per token of a window.

        Args:
            images: uint8 tensor (B, 3, T, H, W), RGB in [0, 255].

        Returns:
            Floating-point tensor (B, N, D) in (time, row, column) order.
        """

    def state_dict(self) -> dict[str, Any]:
        """Returns the weights by name, as `nn.Module` does."""


AnyModel: TypeAlias = "Marlin | WindowModel"
"""A model of windows, or a whole model for its encoder."""


def encoder_of(model: AnyModel) -> WindowModel:
    """Returns the encoder of a whole model, or an encoder itself."""
    # The import takes seconds, which processes that only read videos need not spend.
    from lightly_marlin.models import Marlin

    return model.encoder if isinstance(model, Marlin) else model


def device_and_dtype(model: WindowModel) -> tuple[torch.device, torch.dtype]:
    """Returns device and dtype of a model's first floating-point tensor."""
    assert isinstance(model, nn.Module)
    tensors = chain(model.parameters(), model.buffers())
    first = next(tensor for tensor in tensors if tensor.is_floating_point())
    return first.device, first.dtype


def weights_digest(model: AnyModel) -> str:
    """Returns a digest of a model's weights and sizes, 32 hexadecimal digits."""
    encoder = encoder_of(model)
    digest = hashlib.blake2b(str(encoder.config).encode(), digest_size=16)
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy())
    return digest.hexdigest()
