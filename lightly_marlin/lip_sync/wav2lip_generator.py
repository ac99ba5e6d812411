"""Generator of lip-synchronised faces frame by frame, in the form of Wav2Lip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.convolutions import (
    ConvBlock,
    ResidualBlock,
    UpBlock,
    conv_tower,
    group_norm,
)
from lightly_marlin.lip_sync.generator_tensors import (
    MEL_STEPS,
    PICTURE_CHANNELS,
    batch_as_clips,
    frames_as_batch,
    join_pictures,
    pixels_of,
)
from lightly_marlin.lip_sync.pretrained import LipSyncPretrained
from lightly_marlin.lip_sync.sound_windows import MEL_BANDS
from lightly_marlin.lip_sync.sync_expert import FACE_SIZE

__all__ = ["Wav2LipGenerator"]

_HALVINGS = 5
"""From 96 pixels to 3."""


class Wav2LipGenerator(LipSyncPretrained, nn.Module):
    """Faces that speak a given sound, each frame by itself: the form of Wav2Lip [0].

    The peer of `LipSyncGenerator` without MARLIN. The masked target and the reference,
    6x96x96, become a vector of 512, the frame's window of sound another one. A decoder
    grows the picture from both, with the face encoder's maps of each size joined to its
    input as in a U-Net. The layers are ours, with GroupNorm in place of batch norm, so
    the weights released for [0] do not fit.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010

    Args:
        width: Channels after the first halving, even; the vectors have 16 times as
            many: Wav2Lip's 512 with 32.

    Raises:
        ValueError: If the width is not even and positive.

    Examples:
        >>> generator = Wav2LipGenerator(width=4)
        >>> target, reference = torch.rand(2, 1, 3, 5, 96, 96)
        >>> sound = torch.randn(1, 5, 1, 80, 16)
        >>> generator(mask_lower_half(target), reference, sound).shape
        torch.Size([1, 3, 5, 96, 96])
    """

    size = FACE_SIZE

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"Invalid width {width}: must be even and positive.")
        self.width = width
        channels = [width * 2**k // 2 for k in range(_HALVINGS + 1)]
        most = channels[-1]
        self.audio_encoder = conv_tower(
            1, (MEL_BANDS, MEL_STEPS), width, norm=group_norm
        )
        self.face_encoder = nn.ModuleList(
            [
                ConvBlock(PICTURE_CHANNELS, channels[0], 7, norm=group_norm),
                *(_down_block(c, 2 * c) for c in channels[:-1]),
                ConvBlock(most, most, 3, padding=0, norm=group_norm),
            ]
        )
        self.decoder = nn.ModuleList(
            [
                # From 1x1 to 3x3 pixels.
                nn.Sequential(
                    nn.ConvTranspose2d(2 * most, most, 3, bias=False),
                    group_norm(most),
                    nn.ReLU(),
                ),
                *(UpBlock(2 * c, c // 2) for c in reversed(channels[1:])),
            ]
        )
        self.head = nn.Sequential(
            ConvBlock(2 * channels[0], width, norm=group_norm), nn.Conv2d(width, 3, 1)
        )

    def settings(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"width": self.width}

    def forward(self, masked: Tensor, reference: Tensor, mel: Tensor) -> Tensor:
        """Generates clips.

        Args:
            masked: Target crops (B, 3, T, H, W), uint8 in [0, 255] or floating point in
                [0, 1], of any size and number of frames; resized to 96x96 pixels. The
                lower half is masked here, too.
            reference: Crops of another moment, of the same shape and dtype.
            mel: Windows of sound (B, T, 1, 80, 16), which start beside each frame, as
                `mel_windows` cuts them; floating point in [-4, 4].

        Returns:
            Crops (B, 3, T, 96, 96) in [0, 1], float32 (float64 for such weights).

        Raises:
            ValueError: If a shape, dtype or range is not allowed.
        """
        dtype = next(self.head.parameters()).dtype
        pictures = join_pictures(masked, reference, mel, None, dtype)
        maps = frames_as_batch(fit_frames(pictures, FACE_SIZE))
        skips = []
        for block in self.face_encoder:
            maps = block(maps)
            skips.append(maps)
        maps = self.audio_encoder(mel.flatten(0, 1).to(dtype))[:, :, None, None]
        for block in self.decoder:
            maps = block(torch.cat([maps, skips.pop()], dim=1))
        logits = self.head(torch.cat([maps, skips.pop()], dim=1))
        return batch_as_clips(pixels_of(logits), masked.shape[2])


def _down_block(inputs: int, outputs: int) -> nn.Module:
    """Halves a picture."""
    return nn.Sequential(
        ConvBlock(inputs, outputs, stride=2, norm=group_norm),
        ResidualBlock(outputs, norm=group_norm),
    )
