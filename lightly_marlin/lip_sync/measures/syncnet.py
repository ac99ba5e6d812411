"""SyncNet: the network that LSE-D and LSE-C are measured with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightly_marlin.audio import mfcc
from lightly_marlin.lip_sync.measures.published_weights import load_published_weights

__all__ = ["SyncNet", "check_frames"]

FRAMES = 5
"""Frames of a window, 0.2 s at 25 frames per second."""

_SIZE = 224
_STEPS = 20
_STEPS_PER_FRAME = 4
_WIDTH = 1024
_HIDDEN = 512


class SyncNet(nn.Module):
    """Embeds five frames, and 0.2 s of sound, close to each other if in sync [0].

    The names of its weights, and what it sees and hears, are those of the published
    evaluation [1], odd as they are, since the scores depend on them: BGR pixels from 0
    to 255, and cepstral coefficients of 16-bit samples, neither of them normalised. It
    is a measure: it stays in evaluation mode, and its weights have no gradient.

    The published weights, `syncnet_v2.model`, are not part of this package:
    `download_model.sh` of [1] says where their authors keep them.

    Example:
        >>> syncnet = SyncNet.from_file("syncnet_v2.model")
        >>> syncnet.embed_video(frames).shape  # of 75 frames
        torch.Size([71, 1024])

    - [0]: Out of Time: Automated Lip Sync in the Wild, 2016,
      https://www.robots.ox.ac.uk/~vgg/publications/2016/Chung16a/
    - [1]: https://github.com/joonson/syncnet_python
    """

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            # The first block of the published network pools over one value: a place
            # in the numbering of weights.
            *_block(nn.Conv2d(1, 64, 3, padding=1), nn.Identity()),
            *_block(nn.Conv2d(64, 192, 3, padding=1), nn.MaxPool2d(3, (1, 2))),
            *_block(nn.Conv2d(192, 384, 3, padding=1)),
            *_block(nn.Conv2d(384, 256, 3, padding=1)),
            *_block(nn.Conv2d(256, 256, 3, padding=1), nn.MaxPool2d(3, 2)),
            *_block(nn.Conv2d(256, _HIDDEN, (5, 4))),
        )
        self.netfcaud = _head()
        self.netcnnlip = nn.Sequential(
            *_block(nn.Conv3d(3, 96, (FRAMES, 7, 7), (1, 2, 2)), _pool()),
            *_block(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)), _pool(1)),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)), _pool()),
            *_block(nn.Conv3d(256, _HIDDEN, (1, 6, 6))),
        )
        self.netfclip = _head()
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def from_file(cls, path: Path | str) -> SyncNet:
        """Reads published weights, without running code from the file.

        Args:
            path: The published `syncnet_v2.model`, or a file of its form.

        Raises:
            UsageError: A ValueError, if there is no such file, or its weights are not
                those of SyncNet; the message names them.
        """
        syncnet = cls()
        load_published_weights(syncnet, path, "syncnet_v2.model")
        return syncnet

    def train(self, mode: bool = True) -> SyncNet:
        """Stays in evaluation mode, also as a part of a model in training.

        Args:
            mode: Without effect.
        """
        return super().train(False)

    def forward(self, clips: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Embeds windows of frames and of sound.

        Args:
            clips: Floating-point tensor (B, 3, T, 224, 224): BGR in [0, 255], T >= 5.
            coefficients: Floating-point tensor (N, 1, 13, 20), see
                `lightly_marlin.audio.mfcc`.

        Returns:
            - Embeddings (B (T - 4), 1024) of all windows of five frames, clip by clip.
            - Embeddings (N, 1024) of the windows of sound.
        """
        return self._embed_clips(clips), self._embed_coefficients(coefficients)

    @torch.no_grad()
    def embed_video(
        self, frames: npt.NDArray[np.uint8] | Tensor, *, batch_size: int = 16
    ) -> Tensor:
        """Embeds every five consecutive frames.

        Frames of another size are scaled to 224×224, bilinearly between whole values,
        whatever their shape, as the evaluation of LRS does.

        Args:
            frames: uint8 array or tensor (T, H, W, 3), RGB, at 25 frames per second.
            batch_size: Windows that are computed at once; 16 need about 0.3 GB.

        Returns:
            Tensor (max(0, T - 4), 1024) on the device of the weights.

        Raises:
            ValueError: If frames have another shape or type, or batch_size is below 1.
        """
        frames = check_frames(frames)
        _check_batch_size(batch_size)
        windows = len(frames) - FRAMES + 1
        clips = (
            self._clip(frames[start : min(start + batch_size, windows) + FRAMES - 1])
            for start in range(0, windows, batch_size)
        )
        return self._joined(self._embed_clips(clip) for clip in clips)

    @torch.no_grad()
    def embed_audio(self, samples: npt.NDArray[Any], *, batch_size: int = 64) -> Tensor:
        """Embeds 0.2 s of sound, every 0.04 s.

        Args:
            samples: Floating-point array (n,), 16 kHz, in [-1, 1].
            batch_size: Windows that are computed at once.

        Returns:
            Tensor (windows, 1024) on the device of the weights. Row t hears columns 4 t
            to 4 t + 19 of the coefficients: what sounds with frames t to t + 4. Sound
            for exactly L frames has L - 5 windows, for want of half a column.

        Raises:
            ValueError: If samples have another shape or type, or are not finite, or
                batch_size is below 1.
        """
        columns = torch.from_numpy(mfcc(samples))
        _check_batch_size(batch_size)
        if columns.shape[1] < _STEPS:
            return self._joined(iter(()))
        windows = columns.unfold(1, _STEPS, _STEPS_PER_FRAME).transpose(0, 1)[:, None]
        return self._joined(
            self._embed_coefficients(self._like(windows[start : start + batch_size]))
            for start in range(0, len(windows), batch_size)
        )

    def _clip(self, frames: Tensor) -> Tensor:
        """Returns frames as a clip (1, 3, T, 224, 224) for the network."""
        pixels = self._like(frames.flip(-1).permute(0, 3, 1, 2))
        if pixels.shape[2:] != (_SIZE, _SIZE):
            pixels = F.interpolate(pixels, (_SIZE, _SIZE), mode="bilinear").round()
        return pixels.transpose(0, 1)[None]

    def _embed_clips(self, clips: Tensor) -> Tensor:
        # Only the first convolution spans time: one pass over a clip is one over all
        # its windows.
        features = self.netcnnlip(clips)[..., 0, 0]
        embeddings: Tensor = self.netfclip(features.transpose(1, 2).flatten(0, 1))
        return embeddings

    def _embed_coefficients(self, coefficients: Tensor) -> Tensor:
        embeddings: Tensor = self.netfcaud(self.netcnnaud(coefficients).flatten(1))
        return embeddings

    def _like(self, values: Tensor) -> Tensor:
        """Returns values with the device and dtype of the weights."""
        return values.to(next(self.parameters()))

    def _joined(self, parts: Iterator[Tensor]) -> Tensor:
        nothing = next(self.parameters()).new_empty(0, _WIDTH)
        return torch.cat([nothing, *parts])


def check_frames(frames: npt.NDArray[np.uint8] | Tensor) -> Tensor:
    """Checks the frames of a video.

    Args:
        frames: uint8 array or tensor (T, H, W, 3).

    Returns:
        The frames as a tensor.

    Raises:
        ValueError: If the shape or type differs.
    """
    if isinstance(frames, Tensor):
        pixels = frames
    else:
        # Torch takes no array that is read-only or mirrored, such as BGR turned to RGB.
        pixels = torch.from_numpy(np.require(frames, requirements=("C", "W")))
    if pixels.ndim != 4 or pixels.shape[3] != 3 or 0 in pixels.shape[1:]:
        raise ValueError(
            f"Invalid shape of frames {tuple(pixels.shape)}. Supported is (T, H, W, 3)."
        )
    if pixels.dtype != torch.uint8:
        raise ValueError(
            f"Invalid dtype of frames {pixels.dtype}. Supported is torch.uint8: RGB "
            "from 0 to 255."
        )
    return pixels


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"Invalid batch_size ({batch_size}). It must be at least 1.")


def _block(
    convolution: nn.Conv2d | nn.Conv3d, pool: nn.Module | None = None
) -> list[nn.Module]:
    """Returns a convolution with normalisation and ReLU, and the pooling if any."""
    is_video = isinstance(convolution, nn.Conv3d)
    norm = nn.BatchNorm3d if is_video else nn.BatchNorm2d
    return [
        convolution,
        norm(convolution.out_channels),
        nn.ReLU(inplace=True),
        *([] if pool is None else [pool]),
    ]


def _pool(padding: int = 0) -> nn.Module:
    """Returns max pooling in space alone."""
    return nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, padding, padding))


def _head() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.BatchNorm1d(_HIDDEN),
        nn.ReLU(inplace=True),
        nn.Linear(_HIDDEN, _WIDTH),
    )
