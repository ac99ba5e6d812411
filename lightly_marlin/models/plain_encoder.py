"""An encoder of standard layers only, for exporters and quantisers."""

from __future__ import annotations

import copy

import torch
from timm.layers import Mlp as TimmMlp
from timm.models.vision_transformer import Attention
from torch import Tensor, nn

from lightly_marlin.models.blocks import QVBiasAttention
from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.models.inputs import check_videos
from lightly_marlin.models.mlp import Mlp
from lightly_marlin.models.patches import patchify

__all__ = ["PlainEncoder"]


class PlainEncoder(nn.Module):
    """Computes what a `MarlinEncoder` computes for all tokens, by layers all know.

    Tubelets are cut by reshaping instead of by our kernel, linear layers are those of
    PyTorch, and the biases of queries and values stand in one bias of the fused layer,
    with zeros for the keys: the same function.

    Args:
        encoder: Whose weights to take; copied.
        keep_seq: Features of every token, not their mean.
    """

    pos_embed: Tensor

    def __init__(self, encoder: MarlinEncoder, *, keep_seq: bool = False) -> None:
        super().__init__()
        self.config = encoder.config
        self.keep_seq = keep_seq
        self.patch_embed = _plain_linear(encoder.patch_embed)
        self.register_buffer("pos_embed", encoder.pos_embed.detach().clone())
        self.blocks = nn.Sequential(*(_plain_block(block) for block in encoder.blocks))
        self.norm = copy.deepcopy(encoder.norm)
        self.eval().requires_grad_(False)

    def forward(self, videos: Tensor) -> Tensor:
        """Encodes clips.

        Args:
            videos: uint8 tensor (B, C, T, H, W) in [0, 255].

        Returns:
            Features (B, D), or (B, N, D) with `keep_seq`.

        Raises:
            ValueError: If shape or dtype is another.
        """
        check_videos(videos, self.config)
        pixels = patchify(videos, self.config.tubelet_size, self.config.patch_size)
        tokens = self.patch_embed(pixels.to(self.pos_embed.dtype) / 255)
        tokens = self.blocks(tokens + self.pos_embed)
        if not self.keep_seq:
            tokens = tokens.mean(dim=1)
        features: Tensor = self.norm(tokens)
        return features


def _plain_linear(layer: nn.Linear) -> nn.Linear:
    plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    plain.load_state_dict(layer.state_dict())
    return plain


def _plain_block(block: nn.Module) -> nn.Module:
    plain = copy.deepcopy(block)
    plain.attn = _plain_attention(plain.attn)  # type: ignore[arg-type]
    plain.mlp = _plain_mlp(plain.mlp)  # type: ignore[arg-type]
    return plain


def _plain_mlp(mlp: Mlp) -> nn.Module:
    plain: nn.Module = TimmMlp(mlp.fc1.in_features, mlp.fc1.out_features)
    plain.load_state_dict(mlp.state_dict())
    return plain


def _plain_attention(attention: QVBiasAttention) -> nn.Module:
    dim = attention.qkv.in_features
    plain: nn.Module = Attention(dim, num_heads=attention.num_heads, qkv_bias=True)
    q_bias, v_bias = attention.q_bias.detach(), attention.v_bias.detach()
    bias = torch.cat((q_bias, torch.zeros_like(q_bias), v_bias))
    plain.qkv.load_state_dict(  # type: ignore[union-attr]
        {"weight": attention.qkv.weight.detach(), "bias": bias}
    )
    plain.proj.load_state_dict(  # type: ignore[union-attr]
        attention.proj.state_dict()
    )
    return plain
