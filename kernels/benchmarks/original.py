"""The operations as the first masked video autoencoders wrote them, in eager PyTorch.

Everything is embedded, unfolded and converted first, and boolean masks pick from it
afterwards; each mask makes the host wait for the device. Written from the description
of the method, to be measured beside ours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["assemble_tokens", "gather_pixels", "pick_tokens", "reconstruction_loss"]


def unfold_clips(videos: Tensor, tubelet_size: int, patch_size: int) -> Tensor:
    """Returns all tokens (B, N, P) of float clips, in (c, t, h, w) order."""
    cut = videos.unfold(2, tubelet_size, tubelet_size)
    cut = cut.unfold(3, patch_size, patch_size).unfold(4, patch_size, patch_size)
    return cut.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(4).flatten(1, 3)


def gather_pixels(
    videos: Tensor,
    picked: Tensor,
    tubelet_size: int,
    patch_size: int,
    dtype: torch.dtype,
) -> Tensor:
    """Picks tokens of uint8 clips by a boolean mask (B, N): (B, n, P) of `dtype`."""
    tokens = unfold_clips(videos.float() / 255, tubelet_size, patch_size)
    return tokens[picked].view(len(videos), -1, tokens.shape[-1]).to(dtype)


def pick_tokens(tokens: Tensor, picked: Tensor, pos_embed: Tensor) -> Tensor:
    """Picks tokens with positions by a boolean mask (B, N): (B, n, D)."""
    tokens = tokens + pos_embed
    return tokens[picked].view(len(tokens), -1, tokens.shape[-1])


def assemble_tokens(
    visible: Tensor, mask_token: Tensor, pos_embed: Tensor, picked: Tensor
) -> Tensor:
    """Joins visible and mask tokens by the mask (B, N) of the visible ones."""
    positions = pos_embed.expand(len(visible), -1, -1)
    kept = positions[picked].view(*visible.shape)
    masked = positions[~picked].view(len(visible), -1, visible.shape[-1])
    return torch.cat([visible + kept, mask_token + masked], dim=1)


def reconstruction_loss(
    pred: Tensor,
    videos: Tensor,
    masked: Tensor,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    target: str,
) -> Tensor:
    """Mean squared error of the masked tokens, in float32."""
    tokens = unfold_clips(videos.float() / 255, tubelet_size, patch_size)
    if norm_pix:
        mean = tokens.mean(dim=-1, keepdim=True)
        variance = tokens.var(dim=-1, keepdim=True)
        tokens = (tokens - mean) / (variance + 1e-6).sqrt()
    if target == "motion":
        frames = tokens.view(*tokens.shape[:2], -1, tubelet_size, patch_size**2)
        first, later = frames[..., :1, :], frames[..., 1:, :]
        tokens = torch.cat([first, later - first], dim=-2).flatten(2)
    return F.mse_loss(pred.float(), tokens[masked].view(pred.shape))
