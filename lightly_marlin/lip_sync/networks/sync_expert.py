"""Expert that tells whether lips and sound belong together."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.networks.convolutions import conv_tower
from lightly_marlin.lip_sync.networks.lower_half import lower_half
from lightly_marlin.lip_sync.networks.pretrained import LipSyncPretrained
from lightly_marlin.lip_sync.sound_windows import MEL_BANDS, mel_steps

__all__ = ["FACE_SIZE", "SyncExpert"]

FACE_SIZE = 96
"""Height and width of a face crop in Wav2Lip, in pixels."""


class SyncExpert(LipSyncPretrained, nn.Module):
    """Embeddings of lips and sound whose cosine is the probability of being in sync.

    It has the form of Wav2Lip's expert, the colour variant of SyncNet [0]: the lower
    halves of consecutive face crops, stacked along channels, and a window of the mel
    spectrogram become one vector each. Every layer ends in ReLU, so the cosine lies in
    [0, 1]. MARLIN's authors retrained it for 16 frames [1].

    The layers between are ours, so the weights released for [0] do not fit: a stem,
    four stages that halve the picture and double the channels, and a convolution over
    the rest. Batch norm removes what all embeddings have in common, without which all
    cosines would begin near 1; training thus needs batches of at least two pairs.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010
    - [1]: https://github.com/ControlNet/MARLIN/issues, 1, 5, 16 and 19

    Args:
        num_frames: Frames T of a window: Wav2Lip's 5, MARLIN's 16, or another number.
        width: Channels after the stems. The embedding has 16 times as many: Wav2Lip's
            512 with 32. With 4 to 8, it trains in minutes on a CPU.

    Raises:
        ValueError: If a number is less than 1.

    Attributes:
        num_frames: Frames T of a window.
        mel_steps: Steps of a window of sound: 16 for 5 frames, 52 for 16.
        embed_dim: Width E of the embeddings.

    Examples:
        >>> expert = SyncExpert(num_frames=5, width=4).eval()
        >>> frames, mel = torch.rand(2, 3, 5, 112, 112), torch.randn(2, 1, 80, 16)
        >>> expert.similarity(*expert(frames, mel)).shape
        torch.Size([2])
    """

    def __init__(self, num_frames: int = 5, *, width: int = 32) -> None:
        super().__init__()
        for name, value in (("num_frames", num_frames), ("width", width)):
            if value < 1:
                raise ValueError(f"Invalid {name} {value}: must be at least 1.")
        self.num_frames = num_frames
        self.width = width
        self.mel_steps = mel_steps(num_frames)
        self.embed_dim = 16 * width
        # The stem keeps all rows: mouths open vertically.
        lips = FACE_SIZE // 2, FACE_SIZE
        self.face_encoder = conv_tower(3 * num_frames, lips, width, (1, 2))
        self.audio_encoder = conv_tower(1, (MEL_BANDS, self.mel_steps), width)

    def settings(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {"num_frames": self.num_frames, "width": self.width}

    def forward(self, frames: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Embeds windows of frames and of sound.

        Args:
            frames: Face crops (B, 3, T, H, W); see `embed_frames`.
            mel: Windows (B, 1, 80, steps); see `embed_mel`.

        Returns:
            Embeddings of the frames and of the sound, (B, E) each.

        Raises:
            ValueError: If a shape or dtype is not allowed.
        """
        return self.embed_frames(frames), self.embed_mel(mel)

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Embeds windows of frames.

        Args:
            frames: Whole face crops (B, 3, T, H, W), uint8 in [0, 255] or floating
                point in [0, 1], of any size. They are resized to 96x96 pixels, and
                their lower halves are used.

        Returns:
            (B, E), not negative, with norm 1; float32 (float64 for such weights).

        Raises:
            ValueError: If the shape or dtype is not allowed.
        """
        T = self.num_frames
        if frames.ndim != 5 or frames.shape[1:3] != (3, T):
            raise ValueError(
                f"Invalid shape of frames {tuple(frames.shape)}. Supported is "
                f"(B, 3, {T}, H, W)."
            )
        if frames.dtype != torch.uint8 and not frames.is_floating_point():
            raise ValueError(
                f"Invalid dtype of frames ({frames.dtype}). Supported are torch.uint8 "
                "in [0, 255] and floating point in [0, 1]."
            )
        lips = lower_half(fit_frames(frames, FACE_SIZE)).flatten(1, 2).to(self._dtype)
        if frames.dtype == torch.uint8:
            lips = lips / 255
        return _normalized(self.face_encoder(lips))

    def embed_mel(self, mel: Tensor) -> Tensor:
        """Embeds windows of sound.

        Args:
            mel: Floating-point tensor (B, 1, 80, steps) in [-4, 4], as `mel_windows`
                cuts it.

        Returns:
            (B, E), not negative, with norm 1; float32 (float64 for such weights).

        Raises:
            ValueError: If the shape or dtype is not allowed.
        """
        shape = 1, MEL_BANDS, self.mel_steps
        if mel.ndim != 4 or mel.shape[1:] != shape or not mel.is_floating_point():
            raise ValueError(
                f"Invalid mel of shape {tuple(mel.shape)} and {mel.dtype}. Supported "
                f"is floating point, (B, {', '.join(map(str, shape))})."
            )
        return _normalized(self.audio_encoder(mel.to(self._dtype)))

    def similarity(self, video: Tensor, audio: Tensor) -> Tensor:
        """Returns cosines of embeddings: the probability that they are in sync.

        Args:
            video: Embeddings (..., E) of frames.
            audio: Embeddings (..., E) of sound.

        Returns:
            (...), in [0, 1].
        """
        return (video * audio).sum(dim=-1).clamp(0, 1)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype


def _normalized(features: Tensor) -> Tensor:
    """Returns vectors of norm 1, in float32 at least; zeros stay zeros."""
    dtype = torch.promote_types(features.dtype, torch.float32)
    with torch.autocast(features.device.type, enabled=False):
        return F.normalize(features.to(dtype), dim=-1)
