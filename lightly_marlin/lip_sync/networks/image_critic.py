"""Critic of generated mouths, frame by frame."""

from __future__ import annotations

from torch import Tensor, nn

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.networks.convolutions import conv_tower, group_norm
from lightly_marlin.lip_sync.networks.generator_tensors import frames_as_batch
from lightly_marlin.lip_sync.networks.lower_half import lower_half
from lightly_marlin.lip_sync.networks.sync_expert import FACE_SIZE

__all__ = ["ImageCritic"]


class ImageCritic(nn.Module):
    """Tells real lower halves of faces from generated ones, as Wav2Lip's critic [0].

    The layers are ours: the tower of the expert, with GroupNorm.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010

    Args:
        width: Channels after the stem; the vector before the logit has 16 times as
            many: Wav2Lip's 512 with 32.

    Examples:
        >>> ImageCritic(width=4)(torch.rand(1, 3, 16, 96, 96)).shape
        torch.Size([1, 16])
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"Invalid width {width}: must be at least 1.")
        grid = FACE_SIZE - FACE_SIZE // 2, FACE_SIZE
        self.tower = conv_tower(3, grid, width, norm=group_norm)
        self.head = nn.Linear(16 * width, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Scores frames.

        Args:
            frames: Whole face crops (B, 3, T, H, W), floating point in [0, 1]; resized
                to 96x96 pixels, of which the lower half is looked at.

        Returns:
            Logits (B, T) that each frame is real.
        """
        mouths = lower_half(fit_frames(frames, FACE_SIZE))
        logits: Tensor = self.head(self.tower(frames_as_batch(mouths)))
        return logits.reshape(len(frames), frames.shape[2])
