"""Encoder of MARLIN, as one of Lightly's masked vision transformers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from lightly.models.modules.masked_vision_transformer import MaskedVisionTransformer
from torch import Tensor, nn

from lightly_marlin.kernels import gather_tubelets
from lightly_marlin.kernels.checks import check_indices
from lightly_marlin.models.blocks import TransformerBlocks, init_linear_and_norm
from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.models.inputs import check_videos
from lightly_marlin.models.patches import patchify
from lightly_marlin.models.positional_embedding import sincos_positional_embedding
from lightly_marlin.models.weights.pretrained import PretrainedMixin

__all__ = ["MarlinEncoder"]


class MarlinEncoder(PretrainedMixin, MaskedVisionTransformer):  # type: ignore[misc]
    """Vision transformer over the tubelets of a face video [0].

    Implements the interface of Lightly's `MaskedVisionTransformer`, where `images` are
    videos. There are no prefix tokens. With `idx_keep` and without masking, only the
    pixels of the kept tokens are read: the embedding acts on each tubelet alone, so
    gathering before it gives the same result as gathering after it, for a fraction of
    the work.

    `mask_token` is a buffer of zeros outside the state dict, because MARLIN masks by
    leaving tokens out and the released encoders have no such parameter. To train one,
    assign an `nn.Parameter` of shape (1, 1, D) to it.

    - [0]: MARLIN: Masked Autoencoder for facial video Representation LearnINg, 2023,
      https://arxiv.org/abs/2211.06627

    Attributes:
        config: The sizes of the model.
        patch_embed: Linear layer from the pixels of a tubelet, in (channel, time, row,
            column) order, to a token: the flattened kernel of the convolution in [0].
        pos_embed: Fixed positional embedding (1, N, D), a parameter without gradient.
    """

    state_prefix = "encoder."

    def __init__(self, config: MarlinConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.encoder_dim
        self.patch_embed = nn.Linear(config.patch_dim, dim)
        self.pos_embed = nn.Parameter(
            sincos_positional_embedding(config.num_tokens, dim), requires_grad=False
        )
        self.register_buffer("mask_token", torch.zeros(1, 1, dim), persistent=False)
        self.blocks = TransformerBlocks(
            dim, config.encoder_depth, config.encoder_num_heads, config.mlp_ratio
        )
        self.norm = nn.LayerNorm(dim)
        self.apply(init_linear_and_norm)

    @property
    def sequence_length(self) -> int:
        """Number of tokens N of a clip."""
        return self.config.num_tokens

    @property
    def embed_dim(self) -> int:
        """Width D of a token."""
        return self.config.encoder_dim

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes activations in the backward pass instead of keeping them.

        Args:
            enable: Whether to.
        """
        self.blocks.grad_checkpointing = enable

    def set_drop_path(self, rate: float) -> None:
        """Leaves residual branches out at random in training; see `TransformerBlocks`.

        Args:
            rate: Rate of the last block, in [0, 1); 0 for none.

        Raises:
            ValueError: If the rate is out of range.
        """
        self.blocks.set_drop_path(rate)

    def group_matcher(
        self, coarse: bool = False
    ) -> dict[str, str | list[tuple[str, None]]]:
        """Returns the layer of every parameter, as timm's optimizers ask for it.

        Args:
            coarse: One layer for all blocks.

        Returns:
            Regular expressions of names, from the first layer to the last one.
        """
        return {
            "stem": r"^patch_embed|^pos_embed|^mask_token",
            "blocks": r"^blocks" if coarse else [(r"^blocks\.(\d+)", None)],
            "norm": r"^norm",
        }

    def no_weight_decay(self) -> set[str]:
        """Returns the parameters that weight decay would harm, as timm asks for it."""
        return {"pos_embed", "mask_token"}

    def forward(
        self,
        images: Tensor,
        idx_mask: Tensor | None = None,
        idx_keep: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Encodes every clip as one vector: the mean over tokens, then LayerNorm.

        Args:
            images: Videos (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
            idx_mask: Tokens to replace by the mask token; see `preprocess`.
            idx_keep: Tokens to return; see `preprocess`.
            mask: Boolean alternative to `idx_mask`; see `preprocess`.

        Returns:
            Features (B, D).

        Raises:
            ValueError: If an argument is invalid; see `preprocess`.
        """
        tokens = self.preprocess(images, idx_mask, idx_keep, mask)
        features: Tensor = self.norm(self.blocks(tokens).mean(dim=1))
        return features

    def encode(
        self,
        images: Tensor,
        idx_mask: Tensor | None = None,
        idx_keep: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Encodes every clip as a sequence of normalised tokens.

        Args:
            images: Videos (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
            idx_mask: Tokens to replace by the mask token; see `preprocess`.
            idx_keep: Tokens to return; see `preprocess`.
            mask: Boolean alternative to `idx_mask`; see `preprocess`.

        Returns:
            Tokens (B, N, D), or (B, n_keep, D) in the order of `idx_keep`.

        Raises:
            ValueError: If an argument is invalid; see `preprocess`.
        """
        tokens = self.preprocess(images, idx_mask, idx_keep, mask)
        encoded: Tensor = self.norm(self.blocks(tokens))
        return encoded

    def forward_intermediates(
        self,
        images: Tensor,
        idx_mask: Tensor | None = None,
        idx_keep: Tensor | None = None,
        norm: bool = False,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Encodes every clip and also returns the tokens after each block.

        Args:
            images: Videos (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
            idx_mask: Tokens to replace by the mask token; see `preprocess`.
            idx_keep: Tokens to return; see `preprocess`.
            norm: Whether to apply the final LayerNorm to the intermediate tokens too.
            mask: Boolean alternative to `idx_mask`; see `preprocess`.

        Returns:
            The result of `encode`, and one tensor of the same shape per block.

        Raises:
            ValueError: If an argument is invalid; see `preprocess`.
        """
        tokens = self.preprocess(images, idx_mask, idx_keep, mask)
        intermediates = []
        for index in range(len(self.blocks)):
            tokens = self.blocks.run_block(index, tokens)
            intermediates.append(self.norm(tokens) if norm else tokens)
        return self.norm(tokens), intermediates

    def preprocess(
        self,
        images: Tensor,
        idx_mask: Tensor | None = None,
        idx_keep: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Embeds tubelets, applies masking and adds positions.

        Args:
            images: Videos (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
            idx_mask: Int64 tensor (B, n_mask) in [0, N): tokens to replace by the
                mask token. Not together with `mask`.
            idx_keep: Int64 tensor (B, n_keep) in [0, N): tokens to return, after any
                masking; all by default.
            mask: Boolean tensor (B, N), True for tokens to replace by the mask token.
                Not together with `idx_mask`.

        Returns:
            Tokens (B, N, D), or (B, n_keep, D) in the order of `idx_keep`.

        Raises:
            ValueError: If an argument has a shape, dtype or range that is not allowed,
                or both `mask` and `idx_mask` are given.
        """
        check_videos(images, self.config)
        self._check_selection(images, idx_mask, idx_keep, mask)
        if idx_keep is None or idx_mask is not None or mask is not None:
            tokens: Tensor = super().preprocess(images, idx_mask, idx_keep, mask)
            return tokens
        positions = F.embedding(idx_keep, self.pos_embed[0])
        return self._embed(images, idx_keep) + positions

    def images_to_tokens(self, images: Tensor) -> Tensor:
        """Embeds all tubelets, without positions.

        Args:
            images: Videos (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].

        Returns:
            Tokens (B, N, D) in (time, row, column) order.

        Raises:
            ValueError: If the videos have a shape, dtype or range that is not allowed.
        """
        check_videos(images, self.config)
        tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if tracing or torch.compiler.is_exporting():
            return self._embed_portably(images)
        everything = torch.arange(self.sequence_length, device=images.device)
        return self._embed(images, everything.expand(images.shape[0], -1))

    def prepend_prefix_tokens(self, x: Tensor) -> Tensor:
        """Returns the tokens as they are: MARLIN has no class token.

        Args:
            x: Tokens (B, N, D).

        Returns:
            The same tokens.
        """
        return x

    def add_pos_embed(self, x: Tensor) -> Tensor:
        """Adds the fixed positional embedding.

        Args:
            x: Tokens (B, N, D) of all positions.

        Returns:
            Tokens (B, N, D).
        """
        return x + self.pos_embed

    def _embed(self, videos: Tensor, idx: Tensor) -> Tensor:
        device = videos.device.type
        # In the dtype of the matrix product, so that no float32 copy is made for it.
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        else:
            dtype = self.pos_embed.dtype
        tubelets = gather_tubelets(
            videos,
            idx,
            tubelet_size=self.config.tubelet_size,
            patch_size=self.config.patch_size,
            dtype=dtype,
        )
        tokens: Tensor = self.patch_embed(tubelets)
        return tokens

    def _embed_portably(self, videos: Tensor) -> Tensor:
        """Embeds all tubelets without our kernels, for runtimes that lack them."""
        config = self.config
        pixels = patchify(videos, config.tubelet_size, config.patch_size)
        scale = 255 if videos.dtype == torch.uint8 else 1
        tokens: Tensor = self.patch_embed(pixels.to(self.pos_embed.dtype) / scale)
        return tokens

    def _check_selection(
        self,
        images: Tensor,
        idx_mask: Tensor | None,
        idx_keep: Tensor | None,
        mask: Tensor | None,
    ) -> None:
        B, N = images.shape[0], self.sequence_length
        for name, idx in (("idx_mask", idx_mask), ("idx_keep", idx_keep)):
            if idx is not None:
                check_indices(
                    name, idx, batch_size=B, num_tokens=N, device=images.device
                )
        if idx_keep is not None and idx_keep.shape[1] == 0:
            raise ValueError("Invalid shape of idx_keep: at least one token must stay.")
        if mask is not None and (mask.shape != (B, N) or mask.dtype != torch.bool):
            raise ValueError(
                f"Invalid mask (shape {tuple(mask.shape)}, {mask.dtype}). "
                f"Supported is shape ({B}, {N}), torch.bool."
            )
