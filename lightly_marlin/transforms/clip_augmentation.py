"""Augmentation of clips on the device, pixels and region cells together.

All frames of a clip change in the same way: an augmentation that differs from frame to
frame would look like motion. The pixel operations are kornia's.

- [0]: VideoMAE, 2022, https://arxiv.org/abs/2203.12602 (augmentation in fine-tuning)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lightly_marlin.regions import Label
from lightly_marlin.transforms.clip_draws import ClipDraws, Randomness
from lightly_marlin.utils.dependency import require

__all__ = ["ClipAugmentation", "ClipChanges", "crop_cells", "mirror_cells"]

_PURPOSE = "Augmenting clips"
_SIDES = (
    (Label.LEFT_EYEBROW, Label.RIGHT_EYEBROW),
    (Label.LEFT_EYE, Label.RIGHT_EYE),
)


class ClipChanges(NamedTuple):
    """Changes of the clips of a batch.

    Attributes:
        flip: bool tensor (B,): clips to mirror.
        box: float64 tensor (B, 4): left, top, width and height of the crop after
            mirroring, in shares of the frame; each crop lies within it.
        color: float32 tensor (B, 3): factors of brightness, contrast and saturation.
    """

    flip: Tensor
    box: Tensor
    color: Tensor


class ClipAugmentation(nn.Module):
    """Horizontal flip, resized crop and light colour changes of clips.

    Example:
        >>> augment = ClipAugmentation()
        >>> videos, cells = augment(videos, cells, generator=generator)

    Args:
        flip: Share of the clips to mirror, in [0, 1]; 0 for labels about left and
            right.
        crop_scale: Lowest and highest share of the frame's area that a crop keeps, in
            (0, 1]; crops are resized to the size of the frame.
        crop_ratio: Lowest and highest aspect ratio of a crop, relative to the frame's.
        color: Largest change of brightness, contrast and saturation, each a factor in
            [1 - color, 1 + color]; in [0, 1].

    Raises:
        ValueError: If an option is out of range.
        MissingExtraError: If kornia is not installed.
    """

    def __init__(
        self,
        *,
        flip: float = 0.5,
        crop_scale: tuple[float, float] = (0.8, 1.0),
        crop_ratio: tuple[float, float] = (0.9, 1 / 0.9),
        color: float = 0.1,
    ) -> None:
        super().__init__()
        for name, valid, value, allowed in (
            ("flip", 0 <= flip <= 1, flip, "in [0, 1]"),
            (
                "crop_scale",
                0 < crop_scale[0] <= crop_scale[1] <= 1,
                crop_scale,
                "two shares in (0, 1], ascending",
            ),
            (
                "crop_ratio",
                0 < crop_ratio[0] <= crop_ratio[1],
                crop_ratio,
                "two positive numbers, ascending",
            ),
            ("color", 0 <= color <= 1, color, "in [0, 1]"),
        ):
            if not valid:
                raise ValueError(f"Invalid {name} {value}: must be {allowed}.")
        # A run must not learn this in its first step, after all preparation.
        require("kornia", _PURPOSE)
        self.flip = flip
        self.crop_scale = crop_scale
        self.crop_ratio = crop_ratio
        self.color = color

    def draw(self, batch_size: int, generator: Randomness | None = None) -> ClipChanges:
        """Draws the changes of a batch.

        They depend on the generator alone, not on the device of the clips.

        Args:
            batch_size: Number of clips B.
            generator: A generator on the CPU, or `ClipDraws`; None for torch's global
                one.

        Returns:
            The changes, on the CPU.
        """
        if isinstance(generator, ClipDraws):
            uniform = generator.uniform((batch_size, 8), dtype=torch.float64)
        else:
            shape = (batch_size, 8)
            uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
        flip = uniform[:, 0] < self.flip
        area = _between(uniform[:, 1], *self.crop_scale)
        low, high = map(math.log, self.crop_ratio)
        ratio = _between(uniform[:, 2], low, high).exp()
        # An elongated crop of nearly the whole frame would reach outside of it.
        ratio = torch.minimum(torch.maximum(ratio, area), 1 / area)
        # Rounding alone is left to clamp.
        width = (area * ratio).sqrt().clamp(max=1)
        height = (area / ratio).sqrt().clamp(max=1)
        left, top = uniform[:, 3] * (1 - width), uniform[:, 4] * (1 - height)
        color = _between(uniform[:, 5:], 1 - self.color, 1 + self.color)
        box = torch.stack([left, top, width, height], dim=1)
        return ClipChanges(flip, box, color.float())

    def forward(
        self,
        videos: Tensor,
        cells: Tensor | None = None,
        *,
        generator: Randomness | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Augments clips and their region cells by the same random changes.

        Args:
            videos: Clips (B, 3, T, H, W), uint8 in [0, 255] or floating point in
                [0, 1].
            cells: int32 bit masks (B, T, h, w) of the same frames, see `RegionCells`;
                None for clips alone.
            generator: A generator on the CPU, or `ClipDraws`; None for torch's global
                one.

        Returns:
            Clips of the same shape and dtype, and cells of the same shape or None.

        Raises:
            ValueError: If a shape or dtype is not allowed.
        """
        _check(videos, cells)
        changes = self.draw(len(videos), generator)
        if cells is not None:
            mirror = changes.flip.to(cells.device)[:, None, None, None]
            cells = torch.where(mirror, mirror_cells(cells), cells)
            cells = crop_cells(cells, changes.box)
        return self.apply_changes(videos, changes), cells

    def apply_changes(self, videos: Tensor, changes: ClipChanges) -> Tensor:
        """Changes the pixels of clips.

        Args:
            videos: Clips (B, 3, T, H, W), uint8 or floating point.
            changes: Changes of the B clips.

        Returns:
            Clips of the same shape and dtype.
        """
        transform = require("kornia.geometry.transform", _PURPOSE)
        mirror = changes.flip.to(videos.device)[:, None, None, None, None]
        videos = torch.where(mirror, transform.hflip(videos), videos)
        # `grid_sample` of older versions of PyTorch refuses an empty batch.
        unchanged = self.crop_scale[0] == 1 and self.color == 0
        if unchanged or len(videos) == 0:
            return videos
        # Autocast would round kornia's matrices, and clips would move by half a pixel.
        with torch.autocast(videos.device.type, enabled=False):
            if videos.device.type != "cpu" or len(videos) == 1:
                return self._change_pixels(videos, changes)
            # One clip fits the cache of a CPU, a batch does not.
            tensors = (videos, *changes)
            parts = zip(*(x.chunk(len(videos)) for x in tensors), strict=True)
            changed = [self._change_pixels(v, ClipChanges(*c)) for v, *c in parts]
        return torch.cat(changed)

    def _change_pixels(self, videos: Tensor, changes: ClipChanges) -> Tensor:
        transform = require("kornia.geometry.transform", _PURPOSE)
        B, C, T, H, W = videos.shape
        scale = 1 if videos.is_floating_point() else 255
        # Frames are channels here: a matrix of kornia's is for a whole batch entry.
        frames = videos.flatten(1, 2).float() / scale
        if self.crop_scale[0] < 1:
            frames = transform.warp_affine(
                frames,
                _pixel_matrices(changes.box, H, W).to(frames),
                (H, W),
                padding_mode="border",
                # Pixels are mapped to pixels either way; before 0.9, kornia does it
                # right for this one alone.
                align_corners=True,
            )
        frames = frames.reshape(B, C, T * H, W)
        if self.color > 0:
            frames = _change_color(frames, changes.color.to(frames))
        frames = frames.reshape(B, C, T, H, W) * scale
        if not videos.is_floating_point():
            frames = frames.round().clamp(0, 255)
        return frames.to(videos.dtype)


def mirror_cells(cells: Tensor) -> Tensor:
    """Mirrors region cells, whose labels of the left and right sides change places.

    Args:
        cells: int32 bit masks (..., h, w).

    Returns:
        int32 bit masks (..., h, w).
    """
    mirrored = cells.flip(-1)
    for left, right in _SIDES:
        # A bit that differs from the other one is inverted, and so is the other.
        differs = ((mirrored >> left) ^ (mirrored >> right)) & 1
        mirrored = mirrored ^ ((differs << left) | (differs << right))
    return mirrored


def crop_cells(cells: Tensor, box: Tensor) -> Tensor:
    """Crops region cells to boxes and resizes them to their former number.

    A cell of the result holds the labels of all cells that it touches, so that a
    region stays over each of its pixels; at its border it may cover a cell more.

    Args:
        cells: int32 bit masks (B, T, h, w).
        box: float64 tensor (B, 4): left, top, width and height in shares of the frame;
            width and height at most 1.

    Returns:
        int32 bit masks (B, T, h, w).
    """
    left, top, width, height = box[:, :, None].unbind(dim=1)
    for dim, start, length in ((2, top, height), (3, left, width)):
        count = cells.shape[dim]
        edges = torch.arange(count + 1, device=box.device, dtype=torch.float64)
        edges = start * count + edges * length
        # At most two: no side of a crop is longer than the frame's.
        first = edges[:, :-1].floor().long().clamp(0, count - 1)
        last = (edges[:, 1:].ceil().long() - 1).clamp(0, count - 1)
        last = torch.minimum(last, first + 1)
        shape = [len(cells), 1, 1, 1]
        shape[dim] = count
        # Only now: not every device has float64.
        first, last = (
            index.to(cells.device).reshape(shape).expand_as(cells)
            for index in (first, last)
        )
        cells = cells.gather(dim, first) | cells.gather(dim, last)
    return cells


def _between(uniform: Tensor, low: float, high: float) -> Tensor:
    """Maps numbers in [0, 1) to a range."""
    return low + (high - low) * uniform


def _pixel_matrices(box: Tensor, height: int, width: int) -> Tensor:
    """Returns the affine maps of pixels, (B, 2, 3), that enlarge boxes to the frame."""
    left, top, share_x, share_y = box.unbind(dim=1)
    matrices = box.new_zeros(len(box), 2, 3)
    for axis, start, share, size in (
        (0, left, share_x, width),
        (1, top, share_y, height),
    ):
        # The middle of pixel i is at i + 0.5.
        matrices[:, axis, axis] = 1 / share
        matrices[:, axis, 2] = (0.5 - start * size) / share - 0.5
    return matrices


def _change_color(frames: Tensor, factors: Tensor) -> Tensor:
    """Changes the colours of clips (B, 3, T * H, W), as one tall picture each.

    So contrast is relative to the mean of the whole clip.
    """
    enhance = require("kornia.enhance", _PURPOSE)
    brightness, contrast, saturation = factors.unbind(dim=1)
    frames = enhance.adjust_brightness_accumulative(frames, brightness)
    frames = enhance.adjust_contrast_with_mean_subtraction(frames, contrast)
    changed: Tensor = enhance.adjust_saturation_with_gray_subtraction(
        frames, saturation
    )
    return changed


def _check(videos: Tensor, cells: Tensor | None) -> None:
    floating = videos.is_floating_point()
    if videos.ndim != 5 or videos.shape[1] != 3:
        raise ValueError(
            f"Invalid shape of videos {tuple(videos.shape)}. Supported is "
            "(B, 3, T, H, W)."
        )
    if videos.dtype != torch.uint8 and not floating:
        raise ValueError(
            f"Invalid dtype of videos {videos.dtype}. Supported are torch.uint8 in "
            "[0, 255] and floating point in [0, 1]."
        )
    if cells is None:
        return
    wanted = (videos.shape[0], videos.shape[2])
    if cells.ndim != 4 or cells.shape[:2] != wanted or cells.dtype != torch.int32:
        raise ValueError(
            f"Invalid cells of shape {tuple(cells.shape)}, {cells.dtype}. Supported "
            f"are bit masks ({wanted[0]}, {wanted[1]}, h, w), torch.int32."
        )
