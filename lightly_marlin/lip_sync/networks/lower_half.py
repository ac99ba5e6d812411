"""Lower half of face crops, where the mouth is."""

from __future__ import annotations

from torch import Tensor

__all__ = ["lower_half", "mask_lower_half"]


def lower_half(frames: Tensor) -> Tensor:
    """Returns the rows from H // 2 on, as a view.

    Args:
        frames: Face crops (..., H, W).

    Returns:
        Tensor (..., H - H // 2, W).
    """
    return frames[..., frames.shape[-2] // 2 :, :]


def mask_lower_half(frames: Tensor) -> Tensor:
    """Sets the rows from H // 2 on to zero, as Wav2Lip hides the mouth.

    Args:
        frames: Face crops (..., H, W); not changed.

    Returns:
        Tensor of the same shape and dtype.
    """
    masked = frames.clone()
    lower_half(masked).zero_()
    return masked
