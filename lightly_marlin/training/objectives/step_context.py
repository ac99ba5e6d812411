"""Batch, mask and forward passes that the objectives of one step share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from torch import Tensor

from lightly_marlin.loss import gradient_histograms
from lightly_marlin.models import EmaTeacher, Marlin
from lightly_marlin.transforms.clip_draws import Randomness

__all__ = ["StepContext", "ToPixels"]

ToPixels = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Turns predictions (B, n, P), clips and int64 indices (B, n) into pixels (B, n, P)."""


class StepContext:
    """One batch under one mask; every forward pass is run when first needed, and once.

    Attributes:
        model: The masked autoencoder that is trained.
        batch: What the data set gave, on the model's device. "video" are the clips
            (B, 3, T, H, W); see `Objective.needs` for further keys.
        idx_keep: int64 indices of the visible tokens, (B, n_keep).
        idx_mask: int64 indices of the masked tokens, (B, n_mask).
        generator: Source of randomness for objectives that draw.
        parts: Parts of losses to log, detached scalars by name.
    """

    def __init__(
        self,
        model: Marlin,
        batch: Mapping[str, Any],
        idx_keep: Tensor,
        idx_mask: Tensor,
        *,
        teacher: EmaTeacher | None = None,
        to_pixels: ToPixels | None = None,
        generator: Randomness | None = None,
    ) -> None:
        """Runs nothing yet.

        Args:
            model: The masked autoencoder.
            batch: Clips, and whatever else the objectives need.
            idx_keep: Indices of the visible tokens, (B, n_keep).
            idx_mask: Indices of the masked tokens, (B, n_mask).
            teacher: Teacher of the model's encoder; its call returns tokens (B, N, D).
            to_pixels: Turns predictions, clips and indices into pixels; None if the
                model predicts pixels.
            generator: Source of randomness.
        """
        self.model = model
        self.batch = batch
        self.idx_keep = idx_keep
        self.idx_mask = idx_mask
        self.generator = generator
        self.parts: dict[str, Tensor] = {}
        self._teacher = teacher
        self._to_pixels = to_pixels

    @property
    def videos(self) -> Tensor:
        """Clips (B, 3, T, H, W), uint8 in [0, 255] or floating point in [0, 1]."""
        videos: Tensor = self.batch["video"]
        return videos

    @cached_property
    def visible(self) -> Tensor:
        """Encoded visible tokens (B, n_keep, D)."""
        return self.model.encoder.encode(self.videos, idx_keep=self.idx_keep)

    @cached_property
    def pooled(self) -> Tensor:
        """Mean of the visible tokens (B, D)."""
        return self.visible.mean(dim=1)

    @cached_property
    def pooled_b(self) -> Tensor:
        """Mean of the visible tokens of each track's second clip (B, D)."""
        tokens = self.model.encoder.encode(
            self.batch["video_b"], idx_keep=self.batch["idx_keep_b"]
        )
        return tokens.mean(dim=1)

    @cached_property
    def decoded(self) -> Tensor:
        """Normalised decoder tokens of the masked positions (B, n_mask, d)."""
        return self.model.decoder.forward_tokens(
            self.model.enc_dec_proj(self.visible), self.idx_keep, self.idx_mask
        )

    @cached_property
    def pred(self) -> Tensor:
        """Output of the decoder's head for the masked tokens (B, n_mask, P)."""
        pred: Tensor = self.model.decoder.head(self.decoded)
        return pred

    @cached_property
    def pixels(self) -> Tensor:
        """Predicted pixels of the masked tokens (B, n_mask, P)."""
        if self._to_pixels is None:
            return self.pred
        return self._to_pixels(self.pred, self.videos, self.idx_mask)

    @cached_property
    def histograms(self) -> Tensor:
        """Histograms (B, N, H) of all tokens; see `gradient_histograms`."""
        config = self.model.config
        return gradient_histograms(self.videos, config.tubelet_size, config.patch_size)

    @cached_property
    def teacher_tokens(self) -> Tensor:
        """Tokens (B, N, D) that the teacher makes of the whole, unmasked clips.

        Raises:
            RuntimeError: If there is no teacher.
        """
        if self._teacher is None:
            raise RuntimeError("This step has no teacher.")
        tokens: Tensor = self._teacher(self.videos)
        return tokens
