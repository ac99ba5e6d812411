"""Facial regions: the 11 LaPa labels, their groups, and cell bit masks.

Masks and face parsers share this module. A parser labels every pixel with a part of the
face; Fasking only needs the labels that occur in a patch. `RegionCells` stores exactly
these, at 1/256 of the size of a label map, for every patch size that is a multiple of
8.

- [0]: LaPa, 2020, https://arxiv.org/abs/2001.08140 (the labels)
- [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627 (the groups)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "CELL_SIZE",
    "COMPONENT_GROUPS",
    "NO_FACE",
    "NUM_LABELS",
    "Label",
    "RegionCells",
]


class Label(IntEnum):
    """LaPa label of a pixel; left and right as seen in the image [0]."""

    BACKGROUND = 0
    SKIN = 1
    LEFT_EYEBROW = 2
    RIGHT_EYEBROW = 3
    LEFT_EYE = 4
    RIGHT_EYE = 5
    NOSE = 6
    UPPER_LIP = 7
    INNER_MOUTH = 8
    LOWER_LIP = 9
    HAIR = 10


NUM_LABELS = len(Label)

NO_FACE = -1
"""Value of every pixel of a frame in which no face was parsed."""

CELL_SIZE = 8
"""Side of a region cell in pixels."""

COMPONENT_GROUPS: tuple[tuple[Label, ...], ...] = (
    (Label.LEFT_EYEBROW, Label.LEFT_EYE),
    (Label.RIGHT_EYEBROW, Label.RIGHT_EYE),
    (Label.NOSE,),
    (Label.UPPER_LIP, Label.INNER_MOUTH, Label.LOWER_LIP),
    (Label.HAIR,),
)
"""Facial components that Fasking masks first [1]; skin and background follow."""


# PyTorch barely supports comparing these; uint64 becomes negative on overflow.
_WITHOUT_AMINMAX = (torch.uint16, torch.uint32, torch.uint64)


def _occurrence_bits(labels: Tensor, size: int) -> Tensor:
    """Returns int32 bit masks (..., H/size, W/size) of the labels in each square."""
    narrow = labels.dtype not in _WITHOUT_AMINMAX and labels.dtype.itemsize <= 4
    values = labels.to(torch.int32 if narrow else torch.int64)
    values = values.clamp(NO_FACE, NUM_LABELS).to(torch.int32)
    # Bit 0 first means "no face", and bits above the labels are cut off.
    one = torch.ones((), dtype=torch.int32, device=labels.device)
    bits = ((one << (values + 1)) >> 1) & ((1 << NUM_LABELS) - 1)
    return _or_squares(bits, size)


def _or_squares(bits: Tensor, factor: int) -> Tensor:
    """Returns the bitwise OR over factor x factor squares of (..., H, W) bit masks."""
    *lead, height, width = bits.shape
    # Rows first, because whole rows are contiguous in memory.
    rows = _or_along(bits.reshape(*lead, height // factor, factor, width), -2)
    squares = rows.reshape(*lead, height // factor, width // factor, factor)
    return _or_along(squares, -1)


def _or_along(bits: Tensor, dim: int) -> Tensor:
    """Returns the bitwise OR along one dimension, which is removed."""
    first, *others = bits.unbind(dim)
    merged = first.clone()
    for other in others:
        merged |= other
    return merged


def _or_overlapping(bits: Tensor, dim: int, count: int) -> Tensor:
    """Returns bit masks of `count` equal parts of a dimension, by bitwise OR."""
    length = bits.shape[dim]
    if count == length:
        return bits
    if length % count == 0:
        # As below, without a loop over rows: a hundred times as fast for a clip.
        place = dim % bits.ndim
        shape = (*bits.shape[:place], count, -1, *bits.shape[place + 1 :])
        return _or_along(bits.reshape(shape), place + 1)
    parts = []
    for part in range(count):
        start, stop = part * length // count, -(-(part + 1) * length // count)
        parts.append(_or_along(bits.narrow(dim, start, stop - start), dim))
    return torch.stack(parts, dim)


@dataclass(frozen=True, eq=False)
class RegionCells:
    """Bit masks of the labels that occur in each 8x8-pixel cell of each frame.

    Shape, length and indexing follow the bit masks.

    Bit k of an entry is set if LaPa label k occurs in the cell. Every cell of a parsed
    frame has at least one bit; a frame whose cells are all zero has no parsed face.

    Attributes:
        bits:
            int32 tensor with shape (..., H / 8, W / 8), usually (B, T, H / 8, W / 8)
            or (T, H / 8, W / 8); values in [0, 2**11).
    """

    bits: Tensor

    def __post_init__(self) -> None:
        """Checks shape and dtype.

        Raises:
            ValueError: If `bits` is not an int32 tensor of at least two dimensions.
        """
        if self.bits.dtype != torch.int32 or self.bits.ndim < 2:
            raise ValueError(
                "Invalid bits: must be an int32 tensor with shape (..., H / 8, W / 8), "
                f"got {self.bits.dtype} with shape {tuple(self.bits.shape)}."
            )

    @property
    def shape(self) -> torch.Size:
        """Shape of the bit masks, (..., H / 8, W / 8)."""
        return self.bits.shape

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, index: Any) -> Tensor:
        """Returns `bits[index]`, int32."""
        return self.bits[index]

    @classmethod
    def from_labels(cls, labels: Tensor) -> RegionCells:
        """Summarises label maps.

        Args:
            labels:
                Integer tensor with shape (..., H, W) of LaPa labels in [0, 10]; -1 in
                every pixel of a frame without a face. H and W are multiples of 8.

        Returns:
            Cells on the device of `labels`.

        Raises:
            TypeError: If `labels` is not a tensor.
            ValueError:
                If the dtype, the shape or a value is out of range. Values are checked
                on the CPU only; see `check_labels`.
        """
        check_labels(labels)
        height, width = labels.shape[-2:]
        if height % CELL_SIZE or width % CELL_SIZE:
            raise ValueError(
                f"Invalid size of labels {height}x{width}: height and width must be "
                f"multiples of {CELL_SIZE}."
            )
        return cls(_occurrence_bits(labels, CELL_SIZE))

    def to_patches(self, patch_size: int) -> Tensor:
        """Merges cells into patches.

        Args:
            patch_size: Side of a patch in pixels, a multiple of 8.

        Returns:
            int32 bit masks with shape (..., H / patch_size, W / patch_size).

        Raises:
            ValueError:
                If `patch_size` is not a positive multiple of 8 or does not divide the
                frame.
        """
        if patch_size <= 0 or patch_size % CELL_SIZE:
            raise ValueError(
                f"Invalid patch_size {patch_size}: region cells serve patch sizes that "
                f"are multiples of {CELL_SIZE}. Use full-resolution labels for others."
            )
        height, width = (cells * CELL_SIZE for cells in self.bits.shape[-2:])
        check_divides(height, width, patch_size)
        return _or_squares(self.bits, patch_size // CELL_SIZE)

    def resized(self, size: int) -> RegionCells:
        """Returns the cells of the same square frames at another size.

        A new cell has the labels of all old cells that it overlaps.

        Args:
            size: Height and width of the frames in pixels, a multiple of 8.

        Raises:
            ValueError: If the size is not a positive multiple of 8.
        """
        if size <= 0 or size % CELL_SIZE:
            raise ValueError(
                f"Invalid size {size}: must be a multiple of {CELL_SIZE}, the side of "
                "a region cell."
            )
        rows = _or_overlapping(self.bits, -2, size // CELL_SIZE)
        return RegionCells(_or_overlapping(rows, -1, size // CELL_SIZE))


def labels_to_patches(labels: Tensor, patch_size: int) -> Tensor:
    """Summarises full-resolution label maps per patch, for any patch size.

    Args:
        labels: Integer labels with shape (..., H, W), as in `RegionCells.from_labels`.
        patch_size: Side of a patch in pixels; divides H and W.

    Returns:
        int32 bit masks with shape (..., H / patch_size, W / patch_size).

    Raises:
        ValueError: If the labels are invalid or the patches do not tile the frame.
    """
    check_labels(labels)
    height, width = labels.shape[-2:]
    check_divides(height, width, patch_size)
    return _occurrence_bits(labels, patch_size)


def check_labels(labels: Tensor) -> None:
    """Checks a LaPa label map.

    Values are checked on the CPU only, because reading them from another device would
    make the host wait. There, values that are not labels set no bit.

    Args:
        labels: Integer tensor with shape (..., H, W) and values in [-1, 10].

    Raises:
        TypeError: If it is not a tensor.
        ValueError: If the dtype, the shape or a value is out of range.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(
            f"Invalid labels of type {type(labels).__name__}: must be a tensor."
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(
            f"Invalid dtype of labels {labels.dtype}: must be an integer dtype."
        )
    if labels.ndim < 2 or 0 in labels.shape[-2:]:
        raise ValueError(
            f"Invalid shape of labels {tuple(labels.shape)}: must be (..., H, W) and "
            "not empty."
        )
    if labels.device.type != "cpu" or labels.numel() == 0:
        return
    if labels.dtype in _WITHOUT_AMINMAX:
        labels = labels.to(torch.int64)
    low, high = (int(value) for value in torch.aminmax(labels))
    if low < NO_FACE or high >= NUM_LABELS:
        raise ValueError(
            f"Invalid labels in [{low}, {high}]: LaPa labels are in "
            f"[0, {NUM_LABELS - 1}], and {NO_FACE} marks a frame without a face."
        )


def check_divides(height: int, width: int, patch_size: int) -> None:
    """Raises ValueError unless square patches tile a height x width frame."""
    if patch_size <= 0 or height % patch_size or width % patch_size:
        raise ValueError(
            f"Invalid patch_size {patch_size}: must divide height {height} and width "
            f"{width}."
        )
