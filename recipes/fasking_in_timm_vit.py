"""Fasking around a plain timm Vision Transformer: a masked autoencoder in one file.

    pip install ".[train]"
    python recipes/fasking_in_timm_vit.py --store STORE --out run_timm_vit

The encoder is a plain timm VisionTransformer: its patch embedding, positions, blocks
and norm are called one by one, and only the tokens that Fasking keeps are gathered
between embedding and blocks. The decoder is one timm Block. Only the encoder is saved,
for `timm.create_model(..., checkpoint_path=...)`. The recipe departs from MAE [0] in
the mask, in raw pixels as targets, in learned positional embeddings and in its size.

- [0]: MAE, 2021, https://arxiv.org/abs/2111.06377
- [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from lightly_marlin.data import FaceClips, clip_loader
from lightly_marlin.demo import open_store
from lightly_marlin.kernels import assemble_decoder_tokens, gather_tokens
from lightly_marlin.loss import MarlinReconstructionLoss
from lightly_marlin.training import LoopLog, parse_loop_options
from lightly_marlin.transforms import RegionCells, fasking_token_mask
from lightly_marlin.utils.console import run_recipe

MASK_RATIO = 0.75
MODEL = "vit_tiny_patch16_224"
DEPTH = 4


class MaskedViT(nn.Module):
    """A timm ViT that sees some patches, and a block that predicts the others."""

    def __init__(self) -> None:
        super().__init__()
        self.vit = timm.create_model(MODEL, depth=DEPTH, num_classes=0)
        width = self.vit.embed_dim
        num_patches = self.vit.patch_embed.num_patches
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, num_patches, width))
        self.decoder = Block(width, num_heads=3)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3 * self.vit.patch_embed.patch_size[0] ** 2)

    def forward(self, images: Tensor, idx_keep: Tensor, idx_mask: Tensor) -> Tensor:
        """Predicts the pixels (B, n_mask, 768) of masked patches, channel first."""
        vit = self.vit
        prefix = vit.num_prefix_tokens
        class_token = (vit.cls_token + vit.pos_embed[:, :prefix]).expand(
            len(images), -1, -1
        )
        visible = gather_tokens(
            vit.patch_embed(images), idx_keep, vit.pos_embed[:, prefix:]
        )
        encoded = vit.blocks(vit.norm_pre(torch.cat([class_token, visible], dim=1)))
        encoded = vit.norm(encoded)[:, prefix:]
        tokens = assemble_decoder_tokens(
            encoded, self.mask_token, self.positions, idx_keep, idx_mask
        )
        painted = self.decoder(tokens)[:, idx_keep.shape[1] :]
        pixels: Tensor = self.head(self.norm(painted))
        return pixels


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as specified on the command line; returns the exit status."""
    options = parse_loop_options(
        "Train a timm ViT as a masked autoencoder with Fasking.",
        arguments,
        max_steps=300,
        batch_size=16,
        learning_rate=1e-3,
        out="run_timm_vit",
    )
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = LoopLog(options)
    frames = FaceClips(
        open_store(options.store), num_frames=1, stride=1, seed=options.seed
    )
    loader = clip_loader(frames, options.batch_size, seed=options.seed)

    model = MaskedViT().to(device)
    criterion = MarlinReconstructionLoss(tubelet_size=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
    for batch in log.steps(loader):
        video = batch["video"].to(device)  # (B, 3, 1, 224, 224), uint8
        idx_keep, idx_mask = fasking_token_mask(
            RegionCells(batch["regions"].to(device)),
            MASK_RATIO,
            tubelet_size=1,
            generator=generator,
        )
        pred = model(video[:, :, 0] / 255, idx_keep, idx_mask)
        loss = criterion(pred, video, idx_mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.loss(loss)

    weights = options.out / "encoder.safetensors"
    save_file(model.vit.state_dict(), weights)
    log.summarise(weights)
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
