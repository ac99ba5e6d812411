"""Batched encoding of windows across the videos that they come from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightly_marlin.features.options import PRECISIONS
from lightly_marlin.utils.errors import UsageError

if TYPE_CHECKING:
    from lightly_marlin.models import Marlin, MarlinEncoder

__all__ = ["WindowEncoder", "encoder_of", "has_bf16_units"]

_Key = TypeVar("_Key")


class WindowEncoder(Generic[_Key]):
    """Gathers windows until a batch is full, then encodes it.

    Attributes:
        config: Sizes of the encoder.
    """

    def __init__(
        self,
        model: Marlin | MarlinEncoder,
        *,
        precision: str = "32",
        keep_seq: bool = False,
        batch_size: int | None = None,
    ) -> None:
        """Prepares the encoder; for bf16, a copy of it unless it already is in bf16.

        Args:
            model: An encoder, or a whole model for its encoder, on any device.
            precision: "32" or "bf16". In bf16 the weights are converted once; sums in
                matrix products, norms and means stay float32.
            keep_seq: Return the features of every token of a window instead of their
                mean.
            batch_size: Windows per batch; None for 1 on a CPU, whose cache larger
                batches overflow, and 8 elsewhere.

        Raises:
            UsageError: If an option is not supported.
        """
        if precision not in PRECISIONS:
            raise UsageError(
                f"Invalid precision ({precision!r}). Supported values are "
                f"{', '.join(PRECISIONS)}."
            )
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"Invalid batch_size ({batch_size}). It must be positive.")
        encoder = encoder_of(model)
        self.config = encoder.config
        self._device = encoder.pos_embed.device
        if batch_size is None:
            batch_size = 1 if self._device.type == "cpu" else 8
        if precision == "bf16" and encoder.pos_embed.dtype != torch.bfloat16:
            encoder = copy.deepcopy(encoder).to(torch.bfloat16)
        self._encode = encoder.encode if keep_seq else encoder.__call__
        self._batch_size = batch_size
        self._waiting: list[tuple[_Key, npt.NDArray[np.uint8]]] = []

    def add(
        self, key: _Key, clip: npt.NDArray[np.uint8]
    ) -> Iterator[tuple[_Key, Tensor]]:
        """Takes a window.

        Args:
            key: Key to return with the features.
            clip: uint8 array with shape (T, H, W, 3), RGB.

        Yields:
            Once a batch is full, keys with their features, float32 (D,) or (N, D) on
            the CPU, in the order of arrival.
        """
        self._waiting.append((key, clip))
        if len(self._waiting) == self._batch_size:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[_Key, Tensor]]:
        """Encodes the remaining windows; yields like `add`."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        clips = torch.from_numpy(np.stack([clip for _, clip in waiting]))
        with torch.inference_mode():
            # Permuted without a copy: tubelets are gathered from any strides.
            videos = clips.to(self._device).permute(0, 4, 1, 2, 3)
            features = self._encode(videos).float().cpu()
        for (key, _), vector in zip(waiting, features, strict=True):
            yield key, vector


def encoder_of(model: Marlin | MarlinEncoder) -> MarlinEncoder:
    """Returns the encoder of a whole model, or an encoder itself."""
    # The import takes seconds, which processes that only read videos need not spend.
    from lightly_marlin.models import Marlin

    return model.encoder if isinstance(model, Marlin) else model


def has_bf16_units(device: torch.device) -> bool:
    """Returns whether a device multiplies matrices of bfloat16 in hardware.

    Elsewhere bf16 gives the same features, but more slowly than float32.

    Args:
        device: The device of the encoder.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return True
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)
