"""Fasking in Lightly's masked autoencoder, on single frames with a class token.

    pip install ".[train]"
    python recipes/fasking_in_lightly_mae.py --store STORE --out run_lightly_mae

This is Lightly's own MAE example with one change: where the example draws
`random_token_mask`, Fasking draws the mask from the facial regions of the frame. It
also differs in size (a small ViT that learns on a CPU in minutes) and data (a face
store). RUN holds metrics.csv and model.pt, the encoder's and decoder's weights.

- [0]: MAE, 2021, https://arxiv.org/abs/2111.06377
- [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from lightly.models import utils
from lightly.models.modules import (
    MaskedVisionTransformerDecoderTIMM,
    MaskedVisionTransformerTIMM,
)
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from lightly_marlin.data import FaceClips, clip_loader
from lightly_marlin.demo import open_store
from lightly_marlin.training import LoopLog, parse_loop_options
from lightly_marlin.transforms import RegionCells, fasking_token_mask
from lightly_marlin.utils.console import run_recipe

MASK_RATIO = 0.75
PATCH_SIZE = 16


class MAE(nn.Module):
    """Lightly's masked autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        vit = VisionTransformer(embed_dim=192, depth=4, num_heads=3)
        width = 128
        self.backbone = MaskedVisionTransformerTIMM(vit=vit)
        self.sequence_length = self.backbone.sequence_length
        self.decoder_embed = nn.Linear(vit.embed_dim, width)
        self.decoder = MaskedVisionTransformerDecoderTIMM(
            num_patches=vit.patch_embed.num_patches,
            embed_dim=width,
            depth=1,
            num_heads=4,
        )
        self.decoder_pred = nn.Linear(width, 3 * PATCH_SIZE**2)

    def forward(self, images: Tensor, idx_keep: Tensor, idx_mask: Tensor) -> Tensor:
        """Predicts the pixels (B, n_mask, 768) of masked tokens, as `patchify` has."""
        encoded = self.backbone.encode(images=images, idx_keep=idx_keep)
        tokens = utils.repeat_token(
            self.decoder.mask_token, (len(images), self.sequence_length)
        )
        tokens = utils.set_at_index(tokens, idx_keep, self.decoder_embed(encoded))
        decoded = utils.get_at_index(self.decoder(tokens), idx_mask)
        pixels: Tensor = self.decoder_pred(decoded)
        return pixels


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as specified on the command line; returns the exit status."""
    options = parse_loop_options(
        "Train Lightly's masked autoencoder with Fasking.",
        arguments,
        max_steps=300,
        batch_size=16,
        learning_rate=1e-3,
        out="run_lightly_mae",
    )
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = LoopLog(options)
    # Single frames are clips of one frame. Every epoch draws another one of each track.
    frames = FaceClips(
        open_store(options.store), num_frames=1, stride=1, seed=options.seed
    )
    loader = clip_loader(frames, options.batch_size, seed=options.seed)

    model = MAE().to(device)
    criterion = nn.MSELoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
    for batch in log.steps(loader):
        images = batch["video"][:, :, 0].to(device) / 255
        idx_keep, idx_mask = fasking_token_mask(
            RegionCells(batch["regions"].to(device)),
            MASK_RATIO,
            tubelet_size=1,
            num_prefix_tokens=1,
            generator=generator,
        )
        pred = model(images, idx_keep, idx_mask)
        # Patches have no class token before them.
        patches = utils.patchify(images, PATCH_SIZE)
        loss = criterion(pred, utils.get_at_index(patches, idx_mask - 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.loss(loss)

    torch.save(model.state_dict(), options.out / "model.pt")
    log.summarise(options.out / "model.pt")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
