"""Argument checks that the public functions share.

Shapes, dtypes and options are always checked. Values of indices, floating-point videos
and weights are checked where reading them costs nothing: on the CPU always, on CUDA
only with the environment variable
`LIGHTLY_MARLIN_DEBUG=1` (it makes the host wait for the device at every call), and
never while `torch.compile` traces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "check_choice",
    "check_floating",
    "check_indices",
    "check_motion_target",
    "check_pos_embed",
    "check_pred",
    "check_range",
    "check_same_device",
    "check_videos",
]

_VIDEO_DTYPES = (
    torch.uint8,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
)


# A mean or a resize in half precision may end a rounding step outside of [0, 1].
_ROUNDING = 1e-2


def check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raises unless `value` is one of the `allowed` words.

    Args:
        name: Name of the argument, for the message.
        value: What was received.
        allowed: The words to choose from.

    Raises:
        ValueError: If it is none of them.
    """
    if value not in allowed:
        raise ValueError(
            f"Invalid {name} ({value!r}). Supported values are "
            f"{', '.join(repr(word) for word in allowed)}."
        )


def check_floating(name: str, tensor: Tensor, ndim: int | None = None) -> None:
    """Raises unless `tensor` is a floating-point tensor with `ndim` dimensions.

    Args:
        name: Name of the argument, for the message.
        tensor: What was received.
        ndim: Number of dimensions; None for any.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If its dtype is not floating point or its dimensions differ.
    """
    _check_tensor(name, tensor)
    if not tensor.dtype.is_floating_point:
        raise ValueError(
            f"{name} must be a floating-point tensor, got dtype {tensor.dtype}."
        )
    if ndim is not None and tensor.ndim != ndim:
        raise ValueError(
            f"{name} must have {ndim} dimensions, got shape {tuple(tensor.shape)}."
        )


def check_indices(
    name: str, idx: Tensor, *, batch_size: int, num_tokens: int, device: torch.device
) -> None:
    """Raises unless `idx` holds token numbers for every row of the batch.

    Args:
        name: Name of the argument, for the message.
        idx: What was received; should be int64 (B, n), values in [0, N).
        batch_size: B of the tensor that is indexed.
        num_tokens: N of the tensor that is indexed.
        device: Device of the tensor that is indexed.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If shape, dtype, device or (where they are checked, see above)
            values do not fit.
    """
    _check_tensor(name, idx)
    if idx.dtype != torch.int64:
        raise ValueError(
            f"{name} must have dtype torch.int64, got {idx.dtype} "
            "(masks become indices with mask_to_indices)."
        )
    if idx.ndim != 2 or idx.shape[0] != batch_size:
        raise ValueError(
            f"{name} must have shape (B, n) with B = {batch_size}, "
            f"got shape {tuple(idx.shape)}."
        )
    check_same_device(name, idx, device)
    if not _values_are_free_to_read(idx):
        return
    low, high = (int(bound) for bound in idx.aminmax())
    if low < 0 or high >= num_tokens:
        raise ValueError(
            f"{name} must be in [0, {num_tokens}), got values in [{low}, {high}]."
        )


def check_motion_target(tubelet_size: int, motion_weight: float) -> None:
    """Raises unless tokens hold motion, and its weight is a share.

    Args:
        tubelet_size: Frames per tubelet; should be at least 2.
        motion_weight: What was received; should be in [0, 1].

    Raises:
        ValueError: If one is not as it should be.
    """
    if tubelet_size < 2:
        raise ValueError(
            "tubelet_size must be at least 2 for target 'motion', as a token of one "
            f"frame holds no motion, got {tubelet_size}."
        )
    if not 0 <= motion_weight <= 1:
        raise ValueError(f"motion_weight must be in [0, 1], got {motion_weight}.")


def check_pred(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    *,
    tubelet_size: int,
    patch_size: int,
) -> None:
    """Checks predictions of masked tokens with their clips and indices.

    Args:
        pred: Should be floating point, (B, n, P), not empty.
        videos: Clips, see `check_videos`.
        idx_mask: Indices of the tokens, see `check_indices`.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If a shape, dtype, device or index is invalid.
    """
    num_tokens = check_videos(videos, tubelet_size=tubelet_size, patch_size=patch_size)
    check_indices(
        "idx_mask",
        idx_mask,
        batch_size=videos.shape[0],
        num_tokens=num_tokens,
        device=videos.device,
    )
    check_floating("pred", pred, ndim=3)
    check_same_device("pred", pred, videos.device)
    shape = (*idx_mask.shape, videos.shape[1] * tubelet_size * patch_size**2)
    if tuple(pred.shape) != shape:
        raise ValueError(
            f"pred must have shape (B, n, P) = {shape}, as idx_mask and videos have "
            f"it, got shape {tuple(pred.shape)}."
        )
    if pred.numel() == 0:
        raise ValueError(
            f"pred must not be empty, got shape {shape}: a mean over no clips or no "
            "masked tokens is undefined. Leave such a batch out."
        )


def check_range(
    name: str, tensor: Tensor, *, low: float, high: float, slack: float = 0.0
) -> None:
    """Raises unless all values lie in [low, high], where they are checked (see above).

    Args:
        name: Name of the argument, for the message.
        tensor: What was received.
        low: Smallest value allowed.
        high: Largest value allowed.
        slack: How far beyond a value may lie.

    Raises:
        ValueError: If a value lies outside or is not a number.
    """
    if not _values_are_free_to_read(tensor):
        return
    smallest, largest = (bound.item() for bound in tensor.detach().aminmax())
    if not (smallest >= low - slack and largest <= high + slack):
        raise ValueError(
            f"{name} must be in [{low:g}, {high:g}], got values in "
            f"[{smallest:g}, {largest:g}]."
        )


def check_pos_embed(pos_embed: Tensor, *, dim: int, device: torch.device) -> int:
    """Raises unless `pos_embed` is a table of positions for tokens of width `dim`.

    Args:
        pos_embed: What was received; should be (1, N, D) or (N, D) floating point.
        dim: D of the tokens.
        device: Device of the tokens.

    Returns:
        Number of positions N.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If shape, dtype or device do not fit.
    """
    check_floating("pos_embed", pos_embed)
    shape = tuple(pos_embed.shape)
    if len(shape) not in (2, 3) or shape[-1] != dim or shape[:-2] not in ((), (1,)):
        raise ValueError(
            f"pos_embed must have shape (N, {dim}) or (1, N, {dim}), as tokens are "
            f"{dim} wide, got shape {shape}."
        )
    check_same_device("pos_embed", pos_embed, device)
    return shape[-2]


def check_same_device(name: str, tensor: Tensor, device: torch.device) -> None:
    """Raises unless `tensor` lies on `device`.

    Args:
        name: Name of the argument, for the message.
        tensor: What was received.
        device: Where it should be.

    Raises:
        ValueError: If it lies elsewhere.
    """
    if tensor.device != device:
        raise ValueError(
            f"{name} must be on {device} as the other tensors are, got {tensor.device}."
        )


def check_videos(videos: Tensor, *, tubelet_size: int, patch_size: int) -> int:
    """Raises unless `videos` divide into whole tubelets.

    Args:
        videos: What was received; should be (B, C, T, H, W), uint8 or floating point.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.

    Returns:
        Number of tokens N per clip.

    Raises:
        TypeError: If it is no tensor.
        ValueError: If shape, dtype, a size or (where checked, see above) the values
            do not fit.
    """
    _check_tensor("videos", videos)
    if videos.ndim != 5:
        raise ValueError(
            f"videos must have shape (B, C, T, H, W), got shape {tuple(videos.shape)}."
        )
    if videos.dtype not in _VIDEO_DTYPES:
        raise ValueError(
            f"videos must be uint8 in [0, 255] or floating point in [0, 1], "
            f"got dtype {videos.dtype}."
        )
    if videos.dtype.is_floating_point:
        check_range("videos", videos, low=0, high=1, slack=_ROUNDING)
    num_tokens = 1
    frames, height, width = videos.shape[2:]
    for size_name, size, sides in (
        ("tubelet_size", tubelet_size, {"frames": frames}),
        ("patch_size", patch_size, {"height": height, "width": width}),
    ):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{size_name} must be an integer >= 1, got {size!r}.")
        for side_name, side in sides.items():
            if side < size or side % size:
                raise ValueError(
                    f"The {side_name} of videos must be a multiple of {size_name} "
                    f"({size}), got {side} in shape {tuple(videos.shape)}."
                )
            num_tokens *= side // size
    return num_tokens


def _check_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}.")


def _values_are_free_to_read(tensor: Tensor) -> bool:
    if torch.compiler.is_compiling() or tensor.numel() == 0:
        return False
    if tensor.device.type == "cpu":
        return True
    return tensor.is_cuda and os.environ.get("LIGHTLY_MARLIN_DEBUG") == "1"
