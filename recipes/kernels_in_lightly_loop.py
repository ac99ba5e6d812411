"""Our gather and loss kernels in a Lightly training loop.

    pip install ".[train]"
    python recipes/kernels_in_lightly_loop.py --store STORE --out run_kernels

Lightly's MAE example with its random mask, and kernels for the memory-bound lines:

- `gather_tokens` adds positions to the visible patches alone;
- `assemble_decoder_tokens` makes the decoder's sequence in one pass;
- `masked_reconstruction_loss` reads its target from the uint8 frames.

The first two must reproduce Lightly's functions: the recipe compares them on the first
batch and does not train if they differ. It departs from MAE in its size and data.

- [0]: MAE, 2021, https://arxiv.org/abs/2111.06377
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
from lightly_marlin.kernels import (
    assemble_decoder_tokens,
    gather_tokens,
    masked_reconstruction_loss,
)
from lightly_marlin.training import LoopLog, parse_loop_options
from lightly_marlin.utils.console import run_recipe


class FusedMAE(nn.Module):
    """Lightly's masked autoencoder on our kernels."""

    def __init__(self) -> None:
        super().__init__()
        vit = VisionTransformer(embed_dim=192, depth=4, num_heads=3)
        self.backbone = MaskedVisionTransformerTIMM(vit=vit)
        self.decoder_embed = nn.Linear(vit.embed_dim, 128)
        self.decoder = MaskedVisionTransformerDecoderTIMM(
            vit.patch_embed.num_patches, embed_dim=128, depth=1, num_heads=4
        )
        self.decoder_pred = nn.Linear(128, 3 * 16**2)

    def visible_tokens(self, images: Tensor, idx_keep: Tensor) -> Tensor:
        """Equals `self.backbone.preprocess(images, idx_keep=idx_keep)`."""
        tokens = self.backbone.images_to_tokens(images)
        tokens = self.backbone.prepend_prefix_tokens(tokens)
        return gather_tokens(tokens, idx_keep, self.backbone.vit.pos_embed)

    def forward(self, images: Tensor, idx_keep: Tensor, idx_mask: Tensor) -> Tensor:
        """Predicts the pixels (B, n_mask, 768) of masked tokens, channel first."""
        vit, decoder = self.backbone.vit, self.decoder
        encoded = vit.norm(vit.blocks(self.visible_tokens(images, idx_keep)))
        visible, mask_token = self.decoder_embed(encoded), decoder.mask_token
        tokens = assemble_decoder_tokens(
            visible, mask_token, decoder.pos_embed, idx_keep, idx_mask
        )
        decoded = decoder.decode(tokens)[:, idx_keep.shape[1] :]
        pixels: Tensor = self.decoder_pred(decoded)
        return pixels

    @torch.no_grad()
    def check(self, images: Tensor, idx_keep: Tensor, idx_mask: Tensor) -> None:
        """Compares with Lightly's own functions; raises AssertionError."""
        theirs = self.backbone.preprocess(images, idx_keep=idx_keep)
        torch.testing.assert_close(self.visible_tokens(images, idx_keep), theirs)
        visible = self.decoder_embed(theirs)
        decoder = self.decoder
        size = (len(images), self.backbone.sequence_length)
        whole = utils.repeat_token(decoder.mask_token, size)
        whole = decoder.add_pos_embed(utils.set_at_index(whole, idx_keep, visible))
        both = torch.cat([idx_keep, idx_mask], dim=1)
        assembled = assemble_decoder_tokens(
            visible, decoder.mask_token, decoder.pos_embed, idx_keep, idx_mask
        )
        torch.testing.assert_close(assembled, utils.get_at_index(whole, both))


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as specified on the command line; returns the exit status."""
    options = parse_loop_options(
        "Train Lightly's masked autoencoder with fused gathers and loss.",
        arguments,
        max_steps=300,
        batch_size=16,
        learning_rate=1e-3,
        out="run_kernels",
    )
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = LoopLog(options)
    store = open_store(options.store)
    frames = FaceClips(store, num_frames=1, stride=1, seed=options.seed)
    loader = clip_loader(frames, options.batch_size, seed=options.seed)

    model = FusedMAE().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
    for step, batch in enumerate(log.steps(loader)):
        video = batch["video"].to(device)  # (B, 3, 1, 224, 224), uint8
        images = video[:, :, 0] / 255
        size = (len(images), model.backbone.sequence_length)
        idx_keep, idx_mask = utils.random_token_mask(size, 0.75, device=device)
        if step == 0:
            model.check(images, idx_keep, idx_mask)
        pred = model(images, idx_keep, idx_mask)
        # There is no class token before a frame's patches.
        loss = masked_reconstruction_loss(pred, video, idx_mask - 1, tubelet_size=1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        log.loss(loss)

    torch.save(model.state_dict(), options.out / "model.pt")
    log.summarise(options.out / "model.pt")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
