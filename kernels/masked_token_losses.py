"""Loss per token and its gradient with respect to the prediction, in one pass.

The op under the reconstruction loss. Predictions and clips are read once; the
derivative of the pixel loss is computed in the forward pass and kept, so that backward
only scales it, and does not even touch it where the scale is already in.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lightly_marlin.kernels import reference
from lightly_marlin.kernels.dispatch import (
    UnservedError,
    register_kernel,
    require_tokens,
)
from lightly_marlin.kernels.masked_token_losses_kernel import (
    masked_token_losses_kernel,
)
from lightly_marlin.kernels.op_calls import register_gradient
from lightly_marlin.kernels.target_pixels import target_pixels
from lightly_marlin.kernels.tiles import tubelet_tile
from lightly_marlin.kernels.token_losses_backward import backward, setup_context
from lightly_marlin.kernels.triton_language import launch

__all__ = ["DERIVATIVES", "launch_masked_token_losses", "masked_token_losses_op"]

DERIVATIVES = ("none", "pixel", "mean")
"""What is kept for backward; see `masked_token_losses_op`."""


def launch_masked_token_losses(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    loss: str,
    derivative: str,
    target: str = "pixels",
) -> tuple[Tensor, Tensor]:
    """Runs the kernel; arguments and results as those of `masked_token_losses_op`."""
    channels, frames, height, width = videos.shape[1:]
    tile = tubelet_tile(channels, tubelet_size * patch_size**2)
    if tile is None:
        raise UnservedError(f"no kernel takes {channels} channels")
    grid = (frames // tubelet_size, height // patch_size, width // patch_size)
    batch_size, num_chosen = idx_mask.shape
    num_tokens = grid[0] * grid[1] * grid[2]
    require_tokens(batch_size, num_tokens)
    token_losses = torch.empty(
        _losses_shape(idx_mask, target), dtype=torch.float32, device=pred.device
    )
    has_derivative = derivative != "none"
    derivatives = torch.empty(
        pred.shape if has_derivative else 0, dtype=pred.dtype, device=pred.device
    )
    launch(
        masked_token_losses_kernel,
        (num_chosen, batch_size),
        pred,
        videos,
        idx_mask,
        token_losses,
        derivatives if has_derivative else token_losses,
        _derivative_scale(derivative, loss, pred),
        num_chosen,
        num_tokens,
        *pred.stride(),
        *videos.stride(),
        *idx_mask.stride(),
        TARGET=target,
        LOSS=loss,
        NORM_PIX=norm_pix,
        EPS=reference.NORM_PIX_EPS,
        HAS_DERIVATIVE=has_derivative,
        DENSE_PRED=pred.is_contiguous(),
        GRID_H=grid[1],
        GRID_W=grid[2],
        CHANNELS=channels,
        TUBELET=tubelet_size,
        PATCH=patch_size,
        CHANNEL_BLOCK=tile.channels,
        AREA_BLOCK=tile.area,
        num_warps=tile.num_warps,
    )
    return token_losses, derivatives


def _masked_token_losses(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    loss: str,
    derivative: str,
    target: str = "pixels",
) -> tuple[Tensor, Tensor]:
    """Compares predictions with the pixels of their tokens.

    Args:
        pred: (B, n, P) floating point.
        videos: (B, C, T, H, W).
        idx_mask: (B, n) int64.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        norm_pix: Whether targets are normalised per token.
        loss: "mse", "l1" or "huber".
        derivative: "none" if no backward will come, which saves its memory; "pixel"
            for the derivative of the pixel loss (half of it for "mse": the difference
            itself), which does not underflow in float16; "mean" for the derivative of
            the mean over everything, which is the gradient itself if nothing scales
            the loss.
        target: "pixels", or "motion": the first frame of each token, and the later
            frames minus the first.

    Returns:
        Mean loss of each token (B, n), float32 or float64, for "motion" (B, n, 2): of
        its first frame and of its differences. And the derivative (B, n, P) of the
        dtype of `pred`, empty for "none".
    """
    pixels = target_pixels(
        videos,
        idx_mask,
        tubelet_size,
        patch_size,
        norm_pix=norm_pix,
        target=target,
        dtype=reference.loss_dtype(pred, videos),
    )
    # The target's memory becomes the difference, and that the derivative.
    difference = torch.sub(pred, pixels, out=pixels)
    if target == "motion":
        parts = reference.split_frames(difference, tubelet_size, patch_size)
        token_losses = torch.stack([_mean_losses(part, loss) for part in parts], dim=-1)
    else:
        token_losses = _mean_losses(difference, loss)
    if derivative == "none":
        return token_losses, pred.new_empty(0)
    if loss == "l1":
        difference.sign_()
    elif loss == "huber":
        difference.clamp_(-1, 1)
    if derivative == "mean":
        difference.mul_(_derivative_scale(derivative, loss, pred))
    return token_losses, difference.to(pred.dtype)


masked_token_losses_op = torch.library.custom_op(
    "lightly_marlin::masked_token_losses", _masked_token_losses, mutates_args=()
)
register_kernel(
    masked_token_losses_op, launch_masked_token_losses, _masked_token_losses
)


@masked_token_losses_op.register_fake
def _fake(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    loss: str,
    derivative: str,
    target: str = "pixels",
) -> tuple[Tensor, Tensor]:
    dtype = reference.loss_dtype(pred, videos)
    # As the bodies allocate it: dense, whatever the strides of the predictions.
    derivatives = pred.new_empty(0 if derivative == "none" else pred.shape)
    return pred.new_empty(_losses_shape(idx_mask, target), dtype=dtype), derivatives


register_gradient(masked_token_losses_op, backward, setup_context)


def _derivative_scale(derivative: str, loss: str, pred: Tensor) -> float:
    """Returns the factor that the derivative is kept with."""
    return (2 if loss == "mse" else 1) / pred.numel() if derivative == "mean" else 1.0


def _losses_shape(idx_mask: Tensor, target: str) -> tuple[int, ...]:
    """Returns the shape of the losses: one for each token, or for each of its parts."""
    return (*idx_mask.shape, 2) if target == "motion" else tuple(idx_mask.shape)


def _mean_losses(difference: Tensor, loss: str) -> Tensor:
    """Returns the mean pixel loss (B, n) of differences (B, n, ...)."""
    dim = tuple(range(2, difference.ndim))
    num_pixels = math.prod(difference.shape[2:])
    if loss in ("mse", "l1"):
        order = 1 if loss == "l1" else 2
        # A norm reads once and writes nothing; a square would be another (B, n, P).
        norm: Tensor = torch.linalg.vector_norm(difference, ord=order, dim=dim)
        return norm**order / num_pixels
    zero = difference.new_zeros(()).expand_as(difference)
    return F.huber_loss(difference, zero, reduction="none").mean(dim=dim)
