"""Gradient of the losses per token, from the derivative that their op has kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lightly_marlin.kernels.op_calls import call_op
from lightly_marlin.kernels.scale_rows import scale_rows
from lightly_marlin.kernels.scatter_tubelets import scatter_tubelets_op
from lightly_marlin.kernels.target_pixels import target_pixels_backward

__all__ = ["backward", "setup_context"]


def setup_context(
    ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]
) -> None:
    """Keeps what the gradient needs.

    Args:
        ctx: Context of autograd.
        inputs: Arguments of the op.
        output: The losses, and the derivative that the op has kept.
    """
    pred, videos, idx_mask, ctx.tubelet_size, ctx.patch_size, *options = inputs
    ctx.norm_pix, ctx.loss, ctx.derivative, ctx.target = options
    ctx.shape, ctx.dtypes = videos.shape, (pred.dtype, videos.dtype)
    ctx.mark_non_differentiable(output[1])
    # Zeros for the derivative's absent gradient would cost as much as the derivative.
    ctx.set_materialize_grads(False)
    needs_target = ctx.norm_pix and ctx.needs_input_grad[1]
    ctx.save_for_backward(idx_mask, output[1], videos if needs_target else None)


@once_differentiable
def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    """Returns the gradients of predictions and clips.

    Args:
        ctx: Context of autograd.
        grad: Gradient of the losses, (B, n), for "motion" (B, n, 2).
        _: Gradient of the derivative, which has none.
    """
    # An argument at its default is not always among the inputs.
    nothing = [None] * (len(ctx.needs_input_grad) - 2)
    if grad is None:
        return None, None, *nothing
    idx_mask, derivative, videos = ctx.saved_tensors
    sizes = (ctx.tubelet_size, ctx.patch_size)
    needs_pred, needs_videos = ctx.needs_input_grad[:2]
    grad_pred = grad_videos = None
    if ctx.derivative == "mean":
        # `neutral` is the gradient of a plain mean: the derivative is then the result.
        multiplier, neutral = idx_mask.numel(), 1 / idx_mask.numel()
    else:
        multiplier, neutral = (
            (2 if ctx.loss == "mse" else 1) / derivative.shape[-1],
            None,
        )
    rows = derivative
    if ctx.target == "motion":
        rows, grad = _split_parts(derivative, grad, *sizes)
    if needs_videos:
        grad_target = rows * (grad * -multiplier).unsqueeze(-1)
        grad_pixels = target_pixels_backward(
            grad_target.view(derivative.shape),
            videos,
            idx_mask,
            *sizes,
            norm_pix=ctx.norm_pix,
            target=ctx.target,
        )
        grad_videos = call_op(
            scatter_tubelets_op,
            grad_pixels,
            idx_mask,
            None,
            list(ctx.shape),
            *sizes,
            "c t h w",
            ctx.dtypes[1],
        )
    if needs_pred:
        grad_pred = scale_rows(rows, grad, multiplier, neutral).view(derivative.shape)
    return grad_pred, grad_videos, *nothing


def _split_parts(
    derivative: Tensor, grad: Tensor, tubelet_size: int, patch_size: int
) -> tuple[Tensor, Tensor]:
    """Makes rows of the frames of tokens, as those of the two parts differ in scale.

    Args:
        derivative: (B, n, P), contiguous.
        grad: (B, n, 2), that of the losses of the parts.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.

    Returns:
        Views (B, n * C * tubelet_size, patch_size**2) of the derivative, and for each
        row the gradient of its part times P over the pixels of the part.
    """
    area, later = patch_size**2, tubelet_size - 1
    first_frame, motion = grad.unbind(-1)
    frames = [first_frame * tubelet_size]
    frames += [motion * (tubelet_size / later)] * later
    channels = derivative.shape[-1] // (tubelet_size * area)
    scale = torch.stack(frames, dim=-1).unsqueeze(2).expand(-1, -1, channels, -1)
    return derivative.view(len(derivative), -1, area), scale.flatten(1)
