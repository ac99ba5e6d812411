"""Generator of lip-synchronised faces with MARLIN's encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.networks.convolutions import (
    ConvBlock,
    UpBlock,
    conv_tower,
)
from lightly_marlin.lip_sync.networks.generator_tensors import (
    MEL_STEPS,
    PICTURE_CHANNELS,
    batch_as_clips,
    frames_as_batch,
    join_pictures,
    pixels_of,
)
from lightly_marlin.lip_sync.networks.lower_half import lower_half
from lightly_marlin.lip_sync.networks.pretrained import LipSyncPretrained
from lightly_marlin.lip_sync.networks.sync_expert import FACE_SIZE
from lightly_marlin.lip_sync.sound_windows import MEL_BANDS
from lightly_marlin.models import MarlinConfig, MarlinEncoder

__all__ = ["LipSyncGenerator"]

_DARKEST = 1 / 64
"""Pixel value at which a sigmoid still passes on some gradient."""

_MIN_CHANNELS = 32
"""Channels in which a stage begins, pictures included."""

_MOST_LIGHT = 2.0
"""Ratio by which the light of target and reference may differ, either way."""


class LipSyncGenerator(LipSyncPretrained, nn.Module):
    """Faces that speak a given sound: Wav2Lip [0] with MARLIN's encoder [1, 2].

    It works on clips of as many consecutive frames as the encoder's, MARLIN's 16. The
    encoder's tokens become a map per frame, beside which the frame's sound is spread. A
    decoder doubles the map stage by stage, with the pictures resized and joined to its
    input each time, in place of Wav2Lip's skip connections.

    Known of the authors' network [2]: for base, tokens (B, 1568, 768) become maps
    (B 16, 384, 14, 14); with 384 channels of sound and 6 of pictures, the first stage
    turns 774 into 378 channels and 14x14 into 28x28. Ours: the encoder sees the masked
    target, and the pictures alone show the reference; half of the channels in each
    later stage; kernels; stages only until the result is large enough, from where it is
    resized; and the decoder's result is added, before the sigmoid, to the target with
    the reference's lower half in the target's light, so that only mouths have to be
    learned. The last layer begins at zero: random ones draw noise, which the training
    removes by silencing the layers before, and these stay silent. The authors ran
    MARLIN at 224 pixels and resized from and to 96 for evaluation.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010
    - [1]: MARLIN: Masked Autoencoder for facial video Representation LearnINg, 2023,
      https://arxiv.org/abs/2211.06627
    - [2]: https://github.com/ControlNet/MARLIN/issues, 1, 5, 16 and 19

    Args:
        encoder: Encoder of clips; its weights are trained on.
        size: Height and width S of the generated crops in pixels.
        audio_width: Channels after the stem of the sound's encoder, which ends with 16
            times as many; 32 for Wav2Lip's 512.

    Raises:
        ValueError: If the encoder does not take colour, its width is no multiple of its
            tubelets' frames, or a number is out of range.

    Attributes:
        encoder: Encoder of the masked target.
        audio_encoder: Encoder of a window of sound.
        stages: Stages of the decoder.
        head: Layers from the last stage to pixels.

    Examples:
        >>> from lightly_marlin.models import create_marlin_encoder
        >>> encoder = create_marlin_encoder("marlin_vit_tiny", img_size=112)
        >>> generator = LipSyncGenerator(encoder, audio_width=4)
        >>> target, reference = torch.rand(2, 1, 3, 16, 96, 96)
        >>> sound = torch.randn(1, 16, 1, 80, 16)
        >>> generator(mask_lower_half(target), reference, sound).shape
        torch.Size([1, 3, 16, 96, 96])
    """

    def __init__(
        self, encoder: MarlinEncoder, *, size: int = FACE_SIZE, audio_width: int = 32
    ) -> None:
        super().__init__()
        config = encoder.config
        _check_encoder(config)
        for name, value in (("size", size), ("audio_width", audio_width)):
            if value < 1:
                raise ValueError(f"Invalid {name} {value}: must be at least 1.")
        self.encoder = encoder
        self.size = size
        self.audio_width = audio_width
        channels = config.encoder_dim // config.tubelet_size
        self.audio_encoder = nn.Sequential(
            conv_tower(1, (MEL_BANDS, MEL_STEPS), audio_width),
            nn.Linear(16 * audio_width, channels),
        )
        stages: list[nn.Module] = []
        inputs, side = 2 * channels, config.grid[-1]
        while side < size:
            outputs = max(_MIN_CHANNELS, channels >> len(stages)) - PICTURE_CHANNELS
            stages.append(UpBlock(inputs + PICTURE_CHANNELS, outputs))
            inputs, side = outputs, 2 * side
        self.stages = nn.ModuleList(stages)
        self.head = nn.Sequential(
            ConvBlock(inputs + PICTURE_CHANNELS, _MIN_CHANNELS),
            nn.Conv2d(_MIN_CHANNELS, 3, 1),
        )
        for parameter in self.head[-1].parameters():
            nn.init.zeros_(parameter)

    @property
    def num_frames(self) -> int:
        """Frames of a clip."""
        return self.encoder.config.num_frames

    @property
    def input_size(self) -> int:
        """Height and width in pixels of crops that lose nothing by being resized."""
        return max(self.encoder.config.img_size, self.size)

    def settings(self) -> dict[str, Any]:
        """Returns the encoder's sizes and the other arguments of the constructor."""
        return {
            "encoder": self.encoder.config.to_dict(),
            "size": self.size,
            "audio_width": self.audio_width,
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> LipSyncGenerator:
        """Builds a generator with random weights.

        Args:
            settings: Result of `settings`.

        Raises:
            TypeError: If a name is unknown or missing.
            ValueError: If a value is invalid.
        """
        others = {name: value for name, value in settings.items() if name != "encoder"}
        config = MarlinConfig.from_dict(settings.get("encoder", {}))
        return cls(MarlinEncoder(config), **others)

    def forward(self, masked: Tensor, reference: Tensor, mel: Tensor) -> Tensor:
        """Generates clips.

        Args:
            masked: Target crops (B, 3, T, H, W), uint8 in [0, 255] or floating point in
                [0, 1], of any size; T is the encoder's number of frames. The lower half
                is masked here, too.
            reference: Crops of another moment, of the same shape and dtype.
            mel: Windows of sound (B, T, 1, 80, 16), which start beside each frame, as
                `mel_windows` cuts them; floating point in [-4, 4].

        Returns:
            Crops (B, 3, T, S, S) in [0, 1], float32 (float64 for such weights).

        Raises:
            ValueError: If a shape, dtype or range is not allowed.
        """
        config = self.encoder.config
        dtype = next(self.head.parameters()).dtype
        pictures = join_pictures(masked, reference, mel, config.num_frames, dtype)
        target = fit_frames(pictures[:, :3], config.img_size)
        seen = self._frame_maps(self.encoder.encode(target))
        heard = self.audio_encoder(mel.flatten(0, 1).to(dtype))
        heard = heard[:, :, None, None].expand(-1, -1, *seen.shape[-2:])
        maps = torch.cat([seen, heard], dim=1)
        for stage in self.stages:
            maps = stage(_with_pictures(maps, pictures))
        # What is learned is the difference to the target with the reference's mouth.
        start = fit_frames(_composed(pictures), maps.shape[-1])
        logits = self.head(_with_pictures(maps, pictures))
        logits = logits + _logits_of(frames_as_batch(start))
        clips = batch_as_clips(pixels_of(logits), masked.shape[2])
        return fit_frames(clips, self.size)

    def _frame_maps(self, tokens: Tensor) -> Tensor:
        """Shares the channels of a token among its frames.

        Args:
            tokens: (B, N, D).

        Returns:
            (B T, D / tubelet_size, h, w), the frames of a clip in a row.
        """
        config = self.encoder.config
        size = config.tubelet_size
        maps = tokens.reshape(-1, *config.grid, size, config.encoder_dim // size)
        # (B, T / size, h, w, size, channels): a tubelet's frames follow each other.
        return maps.permute(0, 1, 4, 5, 2, 3).flatten(0, 2)


def _with_pictures(maps: Tensor, pictures: Tensor) -> Tensor:
    """Joins pictures (B, 6, T, H, W), resized, to maps (B T, C, s, s)."""
    resized = fit_frames(pictures, maps.shape[-1])
    return torch.cat([maps, frames_as_batch(resized).to(maps.dtype)], dim=1)


def _composed(pictures: Tensor) -> Tensor:
    """Returns targets (B, 3, T, H, W) with the lower half of the reference, relit.

    Before they are resized, as the mask would leave a dark line where it begins. Colour
    by colour, the reference is made as bright as the target by their upper halves: the
    light of another moment would differ more from that of the target than an open mouth
    from a shut one, and a network that adds is slow to learn a ratio.

    Args:
        pictures: Masked targets and references (B, 6, T, H, W).
    """
    target, reference = pictures[:, :3], pictures[:, 3:]
    composed = target.clone()
    if pictures.shape[-2] < 2:  # One row is all lower half.
        return reference.clone()
    light = _upper_mean(target) / _upper_mean(reference)
    light = light.clamp(1 / _MOST_LIGHT, _MOST_LIGHT)
    lower_half(composed).copy_((lower_half(reference) * light).clamp(0, 1))
    return composed


def _upper_mean(pictures: Tensor) -> Tensor:
    """Returns the mean (B, C, T, 1, 1) of upper halves; black counts as dark grey."""
    upper = pictures[..., : pictures.shape[-2] // 2, :]
    return upper.mean(dim=(-2, -1), keepdim=True).clamp(min=_DARKEST)


def _logits_of(pixels: Tensor) -> Tensor:
    """Undoes the sigmoid; black and white stay finite."""
    return pixels.clamp(_DARKEST, 1 - _DARKEST).logit()


def _check_encoder(config: MarlinConfig) -> None:
    if config.in_channels != 3:
        raise ValueError(
            f"The encoder must take frames of 3 channels, got {config.in_channels}."
        )
    if config.encoder_dim % config.tubelet_size:
        raise ValueError(
            f"The encoder's width ({config.encoder_dim}) must be a multiple of its "
            f"tubelet_size ({config.tubelet_size}), to be shared among frames."
        )
