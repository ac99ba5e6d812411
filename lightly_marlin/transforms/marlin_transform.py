"""Transform of decoded clips into the input of a MARLIN model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from lightly_marlin.transforms.clip_augmentation import mirror_cells

__all__ = ["MarlinTransform"]

Clip = TypeVar("Clip", Tensor, Mapping[str, Any])


class MarlinTransform:
    """Samples frames, resizes, and optionally mirrors a clip.

    Follows Lightly's convention for transforms: the result is a list of views, here
    with one view. It also takes what PyTorchVideo's data sets yield, a dict with the
    clip under "video". MARLIN was released without augmentation, so the default does
    none.

    Args:
        num_frames: Frames of the view, evenly spaced over the clip.
        input_size: Height and width of the view in pixels.
        hf_prob:
            Probability of a horizontal flip. Regions are flipped too, with left and
            right labels swapped.
        pixel_range:
            Largest value of floating-point clips: 1.0, or 255.0 for clips from
            PyTorchVideo. uint8 clips stay uint8.
    """

    def __init__(
        self,
        num_frames: int = 16,
        input_size: int = 224,
        hf_prob: float = 0.0,
        pixel_range: float = 1.0,
    ) -> None:
        if not 0.0 <= hf_prob <= 1.0:
            raise ValueError(
                f"Invalid hf_prob {hf_prob}. Supported values are in [0, 1]."
            )
        if pixel_range not in (1.0, 255.0):
            raise ValueError(
                f"Invalid pixel_range {pixel_range}. Supported values are 1.0, 255.0."
            )
        self.num_frames = num_frames
        self.input_size = input_size
        self.hf_prob = hf_prob
        self.pixel_range = pixel_range

    def __call__(self, clip: Clip) -> list[Clip]:
        """Returns a list with one view.

        Args:
            clip:
                Tensor (3, T, H, W), uint8 in [0, 255] or floating point in
                [0, pixel_range]; or a mapping with such a tensor under "video" and,
                optionally, region cells (T, H / 8, W / 8), int32 bit masks, under
                "regions". Cells need a clip that already has the size of the view.

        Returns:
            A view like `clip`: the video (3, num_frames, input_size, input_size), uint8
            or floating point in [0, 1], other entries unchanged.

        Raises:
            ValueError: If the clip has an unsupported shape, dtype or range.
        """
        flip = self.hf_prob > 0 and bool(torch.rand(()) < self.hf_prob)
        if isinstance(clip, Tensor):
            return [self._view(clip, flip)]
        view = {**clip, "video": self._view(clip["video"], flip)}
        if "regions" in clip:
            view["regions"] = self._regions_view(clip["regions"], clip["video"], flip)
        return [view]

    def _view(self, video: Tensor, flip: bool) -> Tensor:
        video = self._check(video)
        video = video[:, self._frame_index(video.shape[1])]
        size = (self.input_size, self.input_size)
        if video.shape[-2:] != size:
            frames = video.transpose(0, 1)
            frames = F.interpolate(frames, size, mode="bilinear", antialias=True)
            video = frames.transpose(0, 1)
        return video.flip(-1) if flip else video

    def _regions_view(self, cells: Tensor, video: Tensor, flip: bool) -> Tensor:
        if video.shape[-2:] != (self.input_size, self.input_size):
            raise ValueError(
                f"Invalid size of video {tuple(video.shape[-2:])}: a clip with regions "
                f"must already have {self.input_size}x{self.input_size} pixels."
            )
        cells = cells[self._frame_index(len(cells))]
        return mirror_cells(cells) if flip else cells

    def _frame_index(self, frames: int) -> Tensor:
        return torch.linspace(0, frames - 1, self.num_frames).round().long()

    def _check(self, video: Tensor) -> Tensor:
        if video.ndim != 4 or video.shape[0] != 3 or video.numel() == 0:
            raise ValueError(
                f"Invalid shape of video {tuple(video.shape)}. Supported is "
                "(3, T, H, W), not empty."
            )
        if video.dtype == torch.uint8:
            return video
        if not video.is_floating_point():
            raise ValueError(
                f"Invalid dtype of video {video.dtype}. Supported are uint8 and "
                "floating point."
            )
        largest = float(video.max())
        if float(video.min()) < 0 or largest > self.pixel_range:
            raise ValueError(
                f"Invalid range of video [{float(video.min()):g}, {largest:g}]: must "
                f"be in [0, {self.pixel_range:g}]. Set pixel_range=255.0 for clips of "
                "PyTorchVideo."
            )
        return video if self.pixel_range == 1.0 else video / self.pixel_range
