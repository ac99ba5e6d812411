"""Transformer blocks of MARLIN: timm's, with MARLIN's attention biases."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = [
    "MarlinBlock",
    "QVBiasAttention",
    "TransformerBlocks",
    "init_linear_and_norm",
]


class QVBiasAttention(Attention):  # type: ignore[misc]
    """timm's attention with biases for queries and values and none for keys.

    A bias on the keys adds the same number to all scores of a query, which the softmax
    removes again, so MARLIN (as BEiT [0] and VideoMAE before it) has no such parameter.

    - [0]: BEiT: BERT Pre-Training of Image Transformers, 2021,
      https://arxiv.org/abs/2106.08254

    Args:
        dim: Width D of a token.
        num_heads: Number of attention heads; divides `dim`.
    """

    _linear: Callable[..., Tensor] = staticmethod(F.linear)
    _attention: Callable[..., Tensor] = staticmethod(F.scaled_dot_product_attention)

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__(dim, num_heads=num_heads, qkv_bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.register_buffer("_k_bias", torch.zeros(dim), persistent=False)

    def forward(
        self,
        x: Tensor,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        *,
        num_context: int = 0,
    ) -> Tensor:
        """Attends among the tokens of each clip.

        Args:
            x: Tokens (B, N, D).
            attn_mask: Passed on to `scaled_dot_product_attention`; newer versions of
                timm's blocks pass it in.
            is_causal: Passed on to `scaled_dot_product_attention`.
            num_context: Number of first tokens that are attended to, but give no
                result.

        Returns:
            Tokens (B, N - num_context, D).
        """
        if num_context == 0:
            q, k, v = self.project(x)
        else:
            q, k, v = self._project_last(x, num_context)
        out = self._attention(q, k, v, attn_mask=attn_mask, is_causal=is_causal)
        mixed: Tensor = self.proj(out.transpose(1, 2).flatten(2))
        return mixed

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Computes queries, keys and values.

        Args:
            x: Tokens (B, N, D).

        Returns:
            Three tensors (B, heads, N, D / heads).
        """
        bias = torch.cat((self.q_bias, self._k_bias, self.v_bias))
        qkv = self._linear(x, self.qkv.weight, bias)
        q, k, v = self._heads(qkv, 3)
        return q, k, v

    def _project_last(
        self, x: Tensor, num_context: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Computes queries of the tokens after the first, keys and values of all."""
        dim = x.shape[2]
        # One split: its gradient is one concatenation.
        q_weight, kv_weight = self.qkv.weight.split((dim, 2 * dim))
        q = self._linear(x[:, num_context:], q_weight, self.q_bias)
        kv = self._linear(x, kv_weight, torch.cat((self._k_bias, self.v_bias)))
        k, v = self._heads(kv, 2)
        return self._heads(q, 1)[0], k, v

    def _heads(self, projected: Tensor, count: int) -> tuple[Tensor, ...]:
        """Splits (B, N, count * D) into tensors (B, heads, N, D / heads)."""
        B, N, width = projected.shape
        dim = width // (count * self.num_heads)
        heads = projected.view(B, N, count, self.num_heads, dim)
        return heads.permute(2, 0, 3, 1, 4).unbind(0)


class MarlinBlock(Block):  # type: ignore[misc]
    """timm's pre-norm block with MARLIN's attention, for all tokens or the last alone.

    Args:
        dim: Width D of a token.
        num_heads: Number of attention heads; divides `dim`.
        mlp_ratio: Width of the hidden layer in multiples of `dim`.
    """

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float = 4.0) -> None:
        # Only newer versions of timm take the attention layer as an argument.
        super().__init__(
            dim,
            num_heads,
            mlp_ratio=mlp_ratio,
            act_layer=nn.GELU,
            norm_layer=nn.LayerNorm,
        )
        self.attn = QVBiasAttention(dim, num_heads)
        # Drawn again, as in every release: a seed gives the same initial weights.
        self.attn.proj = nn.Linear(dim, dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor, num_context: int = 0) -> Tensor:
        """Applies attention and MLP.

        Args:
            x: Tokens (B, N, D).
            num_context: Number of first tokens that are attended to, but give no
                result: what nobody reads is not computed.

        Returns:
            Tokens (B, N - num_context, D).
        """
        normed, last = self.norm1(x), x
        if num_context == 0:
            # Attention of any kind may stand here, as that of an exported encoder does.
            attended = self.attn(normed)
        else:
            attended = self.attn(normed, num_context=num_context)
            last = x[:, num_context:]
        last = last + self.drop_path1(self.ls1(attended))
        result: Tensor = last + self.drop_path2(self.ls2(self.mlp(self.norm2(last))))
        return result


class TransformerBlocks(nn.Sequential):
    """A stack of pre-norm blocks, optionally recomputed in the backward pass.

    Args:
        dim: Width D of a token.
        depth: Number of blocks.
        num_heads: Number of attention heads; divides `dim`.
        mlp_ratio: Width of the hidden layer in multiples of `dim`.
    """

    def __init__(
        self, dim: int, depth: int, num_heads: int, mlp_ratio: float = 4.0
    ) -> None:
        super().__init__(
            *(MarlinBlock(dim, num_heads, mlp_ratio) for _ in range(depth))
        )
        self.grad_checkpointing = False

    def set_drop_path(self, rate: float) -> None:
        """Sets stochastic depth [0]: in training, residual branches are left out.

        The rate grows linearly from 0 in the first block to `rate` in the last one. The
        clips of a batch are drawn independently, from torch's global generator. Rates
        of 0 draw nothing. Neither changes the state dict.

        - [0]: Deep Networks with Stochastic Depth, 2016,
          https://arxiv.org/abs/1603.09382

        Args:
            rate: Share of the clips that skip a branch of the last block, in [0, 1).

        Raises:
            ValueError: If the rate is out of range.
        """
        if not 0 <= rate < 1:
            raise ValueError(f"Invalid drop path rate {rate}: must be in [0, 1).")
        last = max(1, len(self) - 1)
        for index, block in enumerate(self):
            share = rate * index / last if len(self) > 1 else rate
            for name in ("drop_path1", "drop_path2"):
                layer = DropPath(share) if share > 0 else nn.Identity()
                setattr(block, name, layer.train(self.training))

    def run_block(self, index: int, tokens: Tensor, num_context: int = 0) -> Tensor:
        """Applies one block.

        Args:
            index: Index of the block, in [0, depth).
            tokens: Tokens (B, N, D).
            num_context: Number of first tokens of which no result is wanted.

        Returns:
            Tokens (B, N - num_context, D).
        """
        if self.grad_checkpointing and torch.is_grad_enabled():
            result = checkpoint(self[index], tokens, num_context, use_reentrant=False)
        else:
            result = self[index](tokens, num_context)
        assert isinstance(result, Tensor)
        return result

    def forward(self, tokens: Tensor, num_context: int = 0) -> Tensor:
        """Applies all blocks.

        Args:
            tokens: Tokens (B, N, D).
            num_context: Number of first tokens of which no result is wanted. The last
                block attends to them alone, which is exact, as only its result is read.

        Returns:
            Tokens (B, N - num_context, D).
        """
        last = len(self) - 1
        for index in range(len(self)):
            tokens = self.run_block(index, tokens, num_context if index == last else 0)
        return tokens


def init_linear_and_norm(module: nn.Module) -> None:
    """Initialises a layer as masked autoencoders do; for `nn.Module.apply`.

    Xavier-uniform weights and zero biases in linear layers; LayerNorm as identity.

    Args:
        module: Any module; other types than these two are left unchanged.
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
