"""The sizes that are measured: those of pretraining, and tiny ones for a CPU."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRETRAINING", "TINY", "Workload"]


@dataclass(frozen=True)
class Workload:
    """Clips, their tokens, and the widths of a model.

    Attributes:
        frames: Frames of a clip.
        side: Height and width of a frame in pixels.
        patch_size: Side of a tubelet in pixels.
        mask_ratio: Share of the tokens that are masked.
        encoder_dim: Width of the tokens that `gather_tokens` picks.
        decoder_dim: Width of the tokens that `assemble_decoder_tokens` joins.
        channels: Channels of a frame.
        tubelet_size: Frames of a tubelet.
    """

    frames: int
    side: int
    patch_size: int
    mask_ratio: float
    encoder_dim: int
    decoder_dim: int
    channels: int = 3
    tubelet_size: int = 2

    @property
    def num_tokens(self) -> int:
        """Tokens N of a clip."""
        return self.frames // self.tubelet_size * (self.side // self.patch_size) ** 2

    @property
    def num_visible(self) -> int:
        """Tokens of a clip that stay visible, rounded down as MARLIN does."""
        # round() first, because 1 - 0.9 is a little less than 0.1.
        return int(round(self.num_tokens * (1 - self.mask_ratio), 6))

    @property
    def num_masked(self) -> int:
        """Tokens of a clip that are masked."""
        return self.num_tokens - self.num_visible

    @property
    def num_pixels(self) -> int:
        """Pixels P of a token."""
        return self.channels * self.tubelet_size * self.patch_size**2


PRETRAINING = Workload(
    frames=16,
    side=224,
    patch_size=16,
    mask_ratio=0.9,
    encoder_dim=768,
    decoder_dim=384,
)
"""MARLIN base: 16 frames of 224 x 224, of which 156 of 1568 tokens stay visible."""

TINY = Workload(
    frames=4, side=32, patch_size=8, mask_ratio=0.75, encoder_dim=32, decoder_dim=16
)
"""Small enough to run every line of the benchmarks on a CPU in seconds."""
