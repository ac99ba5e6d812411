"""Plain PyTorch versions of the kernels: the ground truth for values and gradients.

Same names and signatures as the public functions, differentiable by plain autograd,
no argument checks. Legend of names: B clips, C channels, T frames, H x W pixels, N
tokens of a clip, n chosen tokens, D width, P = C * tubelet_size * patch_size**2 pixels
of a token.

Tokens are numbered row by row over the (t, h, w) grid of tubelets.

- [0]: MAE, 2021, https://arxiv.org/abs/2111.06377 (per-patch normalised targets)
- [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
- [2]: MAE-DFER, 2023, https://arxiv.org/abs/2307.02227 (motion beside pixels)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "NORM_PIX_EPS",
    "assemble_decoder_tokens",
    "default_dtype",
    "gather_tokens",
    "gather_tubelets",
    "loss_dtype",
    "masked_motion_losses",
    "masked_reconstruction_loss",
    "motion_target",
    "normalize_pixels",
    "split_frames",
    "weighted_mean",
]

NORM_PIX_EPS = 1e-6
"""Added to the variance of a token's pixels before the square root, as in MAE [0]."""

_PIXEL_LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
}


def gather_tubelets(
    videos: Tensor,
    idx: Tensor,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    mean: Sequence[float] | Tensor | None = None,
    std: Sequence[float] | Tensor | None = None,
    dtype: torch.dtype | None = None,
    layout: str = "c t h w",
) -> Tensor:
    """Cuts the chosen tubelets out of clips; only their pixels are read and scaled.

    Args:
        videos: (B, C, T, H, W), uint8 in [0, 255] or floating point in [0, 1], any
            strides.
        idx: (B, n) int64 in [0, N).
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        mean: C values in the unit of the scaled pixels, subtracted; a constant.
        std: C values in the unit of the scaled pixels, divided by; a constant.
        dtype: Of the result; None for float32 for uint8 videos, else the videos' own.
        layout: Order of the pixels in a token, "c t h w" or "t h w c".

    Returns:
        (B, n, P) of `dtype`.
    """
    pixels = _pick_tubelets(videos, idx, tubelet_size, patch_size)
    dtype = default_dtype(videos) if dtype is None else dtype
    if videos.dtype == torch.uint8 or mean is not None or std is not None:
        # float16 and bfloat16 would round at every step.
        compute = torch.promote_types(videos.dtype, dtype)
        pixels = pixels.to(torch.promote_types(compute, torch.float32))
    if videos.dtype == torch.uint8:
        pixels = pixels.mul_(1 / 255)
    if mean is not None:
        pixels = pixels - _per_channel(mean, pixels)
    if std is not None:
        pixels = pixels / _per_channel(std, pixels)
    if layout == "t h w c":
        pixels = pixels.movedim(2, -1)
    return pixels.flatten(2).to(dtype)


def gather_tokens(
    tokens: Tensor, idx: Tensor, pos_embed: Tensor | None = None
) -> Tensor:
    """Picks tokens and adds the positions of the picked ones only.

    Args:
        tokens: (B, N, D) floating point.
        idx: (B, n) int64 in [0, N).
        pos_embed: (1, N, D) or (N, D) floating point, or None.

    Returns:
        (B, n, D), equal to Lightly's `get_at_index(tokens + pos_embed, idx)`.
    """
    clip = torch.arange(len(idx), device=idx.device).unsqueeze(1)
    chosen = tokens[clip, idx]
    return chosen if pos_embed is None else chosen + _positions(pos_embed, idx)


def assemble_decoder_tokens(
    visible: Tensor,
    mask_token: Tensor,
    pos_embed: Tensor,
    idx_keep: Tensor,
    idx_mask: Tensor,
) -> Tensor:
    """Joins visible tokens and mask tokens, each with its position, for a decoder.

    Args:
        visible: (B, n_keep, D) floating point.
        mask_token: (1, 1, D) or (D,) floating point.
        pos_embed: (1, N, D) or (N, D) floating point.
        idx_keep: (B, n_keep) int64 in [0, N), positions of the visible tokens.
        idx_mask: (B, n_mask) int64 in [0, N), positions of the masked tokens.

    Returns:
        (B, n_keep + n_mask, D): the visible tokens in the order of `idx_keep`, then
        the mask tokens in the order of `idx_mask`; of the widest dtype received.
    """
    kept = visible + _positions(pos_embed, idx_keep)
    masked = mask_token.flatten() + _positions(pos_embed, idx_mask)
    return torch.cat([kept, masked], dim=1)


def masked_reconstruction_loss(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    norm_pix: bool = False,
    loss: str = "mse",
    weights: Tensor | None = None,
    target: str = "pixels",
    motion_weight: float = 0.5,
) -> Tensor:
    """Mean difference between predicted and true pixels of the masked tokens.

    Args:
        pred: (B, n, P) floating point, pixels in (channel, time, row, column) order.
        videos: (B, C, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        idx_mask: (B, n) int64 in [0, N).
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        norm_pix: Whether the target of each token is normalised by `normalize_pixels`.
        loss: "mse", "l1" or "huber" (delta 1, as `torch.nn.functional.huber_loss`).
        weights: (B, n) floating point >= 0, one per token; see `weighted_mean`.
        target: "pixels", or "motion" for what `motion_target` makes of them.
        motion_weight: Weight w in [0, 1] for "motion": the result is (1 - w) times the
            loss of the first frames plus w times that of the motion.

    Returns:
        Scalar, float32 (float64 if `pred` or `videos` are).
    """
    if target == "motion":
        first_frame, motion = masked_motion_losses(
            pred,
            videos,
            idx_mask,
            tubelet_size=tubelet_size,
            patch_size=patch_size,
            norm_pix=norm_pix,
            loss=loss,
            weights=weights,
        )
        return (1 - motion_weight) * first_frame + motion_weight * motion
    sizes = (tubelet_size, patch_size)
    pixels = _true_pixels(pred, videos, idx_mask, *sizes, norm_pix=norm_pix)
    pixel_loss = _PIXEL_LOSSES[loss](pred.to(pixels.dtype), pixels, reduction="none")
    return weighted_mean(pixel_loss.mean(dim=-1), weights)


def masked_motion_losses(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    norm_pix: bool = False,
    loss: str = "mse",
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Losses of the two parts of the motion target [2], each a mean of its own.

    Args:
        pred: (B, n, P) floating point: the pixels of the first frame of each token, and
            the later frames minus the first, in (channel, time, row, column) order.
        videos: (B, C, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        idx_mask: (B, n) int64 in [0, N).
        tubelet_size: Frames per tubelet, >= 2.
        patch_size: Side of a tubelet in pixels.
        norm_pix: Whether the pixels of each token are normalised by `normalize_pixels`
            before the first frame is subtracted.
        loss: As in `masked_reconstruction_loss`.
        weights: As in `masked_reconstruction_loss`.

    Returns:
        Two scalars, float32 (float64 if `pred` or `videos` are): the mean over the
        first frames, and the mean over the differences.
    """
    sizes = (tubelet_size, patch_size)
    pixels = _true_pixels(pred, videos, idx_mask, *sizes, norm_pix=norm_pix)
    target = motion_target(pixels, *sizes)
    pixel_loss = _PIXEL_LOSSES[loss](pred.to(target.dtype), target, reduction="none")
    first_frame, motion = (
        weighted_mean(part.mean(dim=(2, 3, 4)), weights)
        for part in split_frames(pixel_loss, *sizes)
    )
    return first_frame, motion


def default_dtype(videos: Tensor) -> torch.dtype:
    """The dtype of gathered pixels when none is asked for."""
    return torch.float32 if videos.dtype == torch.uint8 else videos.dtype


def loss_dtype(pred: Tensor, videos: Tensor) -> torch.dtype:
    """The dtype a loss is computed in: float32, or float64 if an input is float64."""
    dtype = torch.promote_types(pred.dtype, videos.dtype)
    return torch.promote_types(dtype, torch.float32)


def normalize_pixels(target: Tensor) -> Tensor:
    """Normalises each token by mean and unbiased variance of all its pixels [0].

    Args:
        target: (B, n, P) floating point.

    Returns:
        (B, n, P); zeros for a token of one colour value.
    """
    # Centring first is ten times as fast on a CPU as torch.var, and as accurate.
    centred = target - target.mean(dim=-1, keepdim=True)
    variance = centred.square().sum(dim=-1, keepdim=True) / (target.shape[-1] - 1)
    return centred * (variance + NORM_PIX_EPS).rsqrt()


def motion_target(pixels: Tensor, tubelet_size: int, patch_size: int) -> Tensor:
    """Subtracts the first frame of each token from its later frames [2].

    Args:
        pixels: (B, n, P), raw or normalised, in (channel, time, row, column) order.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.

    Returns:
        (B, n, P): the first frame as it is, then x_t - x_0 for every later frame.
    """
    first, later = split_frames(pixels, tubelet_size, patch_size)
    return torch.cat([first, later - first], dim=-2).flatten(2)


def split_frames(
    pixels: Tensor, tubelet_size: int, patch_size: int
) -> tuple[Tensor, Tensor]:
    """Returns views of the first frame and of the later frames of tokens.

    Args:
        pixels: (B, n, P) in (channel, time, row, column) order.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.

    Returns:
        (B, n, C, 1, patch_size**2) and (B, n, C, tubelet_size - 1, patch_size**2).
    """
    frames = pixels.view(*pixels.shape[:-1], -1, tubelet_size, patch_size**2)
    return frames[..., :1, :], frames[..., 1:, :]


def weighted_mean(token_losses: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over tokens, or sum(weights * token_losses) / sum(weights).

    Args:
        token_losses: (B, n) float32 or float64.
        weights: (B, n) floating point >= 0, or None for equal weights.

    Returns:
        Scalar; 0 if every weight is 0, because raising would need the values on the
        host.
    """
    if weights is None:
        return token_losses.mean()
    weights = weights.to(token_losses.dtype)
    total = weights.sum()
    total = torch.where(total == 0, torch.ones_like(total), total)
    return (weights * token_losses).sum() / total


def _true_pixels(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    *,
    norm_pix: bool,
) -> Tensor:
    """Returns the pixels (B, n, P) that `pred` is about, of `loss_dtype`."""
    pixels = gather_tubelets(
        videos,
        idx_mask,
        tubelet_size=tubelet_size,
        patch_size=patch_size,
        dtype=loss_dtype(pred, videos),
    )
    return normalize_pixels(pixels) if norm_pix else pixels


def _pick_tubelets(
    videos: Tensor, idx: Tensor, tubelet_size: int, patch_size: int
) -> Tensor:
    """Returns the raw pixels (B, n, C, tubelet_size, patch_size, patch_size)."""
    batch_size, channels, frames, height, width = videos.shape
    rows, columns = height // patch_size, width // patch_size
    t, h, w = idx // (rows * columns), idx // columns % rows, idx % columns
    clip = torch.arange(batch_size, device=idx.device).unsqueeze(1)
    if not videos.is_contiguous():
        grid = videos.view(
            batch_size,
            channels,
            frames // tubelet_size,
            tubelet_size,
            rows,
            patch_size,
            columns,
            patch_size,
        )
        return grid.permute(0, 2, 4, 6, 1, 3, 5, 7)[clip, t, h, w]
    # Copying whole pixel rows of patches is about seven times as fast on a CPU as
    # indexing the strided view, which moves pixel by pixel.
    first = (clip * channels * frames + t * tubelet_size) * height + h * patch_size
    offset = torch.arange(channels, device=idx.device).view(-1, 1, 1) * frames
    offset = offset + torch.arange(tubelet_size, device=idx.device).view(-1, 1)
    offset = offset * height + torch.arange(patch_size, device=idx.device)
    line = (first.unsqueeze(-1) + offset.flatten()) * columns + w.unsqueeze(-1)
    picked = videos.view(-1, patch_size).index_select(0, line.flatten())
    return picked.view(*idx.shape, channels, tubelet_size, patch_size, patch_size)


def _per_channel(values: Sequence[float] | Tensor, pixels: Tensor) -> Tensor:
    values = torch.as_tensor(values, dtype=pixels.dtype, device=pixels.device)
    return values.detach().view(-1, 1, 1, 1)


def _positions(pos_embed: Tensor, idx: Tensor) -> Tensor:
    """Returns the positions (B, n, D) of the tokens `idx` (B, n)."""
    table = pos_embed.flatten(0, -2)
    return table.index_select(0, idx.flatten()).view(*idx.shape, table.shape[-1])
