"""Batched encoding of windows across the videos that they come from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lightly_marlin.features.options import PRECISIONS
from lightly_marlin.features.window_model import (
    AnyModel,
    WindowConfig,
    WindowModel,
    device_and_dtype,
    encoder_of,
)
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.evaluation_mode import evaluation_mode

__all__ = ["WindowEncoder", "feature_shape"]

_Key = TypeVar("_Key")


class WindowEncoder(Generic[_Key]):
    """Gathers windows until a batch is full, then encodes it.

    Attributes:
        config: Sizes of the encoder.
        shape: Shape of the features of a window.
    """

    def __init__(
        self,
        model: AnyModel,
        *,
        precision: str = "32",
        keep_seq: bool = False,
        pool_tokens: int = 1,
        batch_size: int | None = None,
    ) -> None:
        """Prepares the encoder; for bf16, a copy of it unless it already is in bf16.

        Args:
            model: An encoder or another `WindowModel`, or a whole model for its
                encoder, on any device.
            precision: "32" or "bf16". In bf16 the weights are converted once; sums in
                matrix products, norms and means stay float32.
            keep_seq: Return the features of every token of a window instead of their
                mean.
            pool_tokens: With `keep_seq`, average the tokens of each tubelet over
                squares of this many by this many patches.
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
        self.config: WindowConfig = encoder.config
        self._pool = pool_tokens
        self.shape = feature_shape(
            self.config, keep_seq=keep_seq, pool_tokens=pool_tokens
        )
        self._device, dtype = device_and_dtype(encoder)
        if batch_size is None:
            batch_size = 1 if self._device.type == "cpu" else 8
        if precision == "bf16" and dtype != torch.bfloat16:
            encoder = _in_bf16(encoder)
        assert isinstance(encoder, nn.Module)
        self._module: nn.Module = encoder
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
        with torch.inference_mode(), evaluation_mode(self._module):
            # Permuted without a copy: tubelets are gathered from any strides.
            videos = clips.to(self._device).permute(0, 4, 1, 2, 3)
            features = self._pooled(self._encode(videos).float()).cpu()
        for (key, _), vector in zip(waiting, features, strict=True):
            yield key, vector

    def _pooled(self, features: Tensor) -> Tensor:
        """Averages tokens (B, N, D) over neighbouring patches."""
        if self._pool == 1:
            return features
        time, height, width = self.config.grid
        pool, dim = self._pool, features.shape[-1]
        squares = (time, height // pool, pool, width // pool, pool, dim)
        return features.reshape(-1, *squares).mean(dim=(3, 5)).flatten(1, 3)


def feature_shape(
    config: WindowConfig, *, keep_seq: bool = False, pool_tokens: int = 1
) -> tuple[int, ...]:
    """Returns the shape of the features of a window: (D,), or (N, D) with `keep_seq`.

    Args:
        config: Sizes of the encoder.
        keep_seq: See `WindowEncoder`.
        pool_tokens: See `WindowEncoder`.

    Raises:
        UsageError: If the pooled tokens do not fill a frame.
    """
    if not keep_seq:
        return (config.encoder_dim,)
    time, height, width = config.grid
    if height % pool_tokens or width % pool_tokens:
        raise UsageError(
            f"Invalid pool_tokens ({pool_tokens}). It must divide the "
            f"{height}x{width} patches of a frame."
        )
    tokens = time * (height // pool_tokens) * (width // pool_tokens)
    return (tokens, config.encoder_dim)


def _in_bf16(encoder: WindowModel) -> WindowModel:
    """Returns a copy of a model in bfloat16."""
    module = copy.deepcopy(encoder)
    assert isinstance(module, nn.Module)
    converted: WindowModel = module.to(torch.bfloat16)
    return converted
