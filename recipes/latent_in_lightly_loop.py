"""Latent prediction with an EMA teacher in a Lightly training loop, without pixels.

    pip install ".[train]"
    python recipes/latent_in_lightly_loop.py --store STORE --out run_latent

I-JEPA's idea [0] with Lightly's vision transformer: the student sees a quarter of the
patches of an image, a small predictor guesses the teacher's tokens of the others, and
the teacher follows the student. Nothing in it knows of faces: the store is read frame
by frame, and any loader of images will do. Three parts are ours: `EmaTeacher`,
`LatentPredictionLoss` and `linear_momentum`.

It departs from I-JEPA in its random mask instead of blocks, its size, and a predictor
in the form of MAE's decoder. The loss alone says little, as constant features would
make it zero: the spread of each patch's features over images is printed at the end,
beside that at the start. RUN/model.pt holds the teacher's backbone.

- [0]: I-JEPA, 2023, https://arxiv.org/abs/2301.08243
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
from lightly.utils.debug import std_of_l2_normalized
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from lightly_marlin.data import FaceClips, clip_loader
from lightly_marlin.demo import open_store
from lightly_marlin.loss import LatentPredictionLoss
from lightly_marlin.models import EmaTeacher, linear_momentum
from lightly_marlin.training import LoopLog, parse_loop_options
from lightly_marlin.utils.console import console, run_recipe

MASK_RATIO = 0.75
FIRST_MOMENTUM = 0.996


class Predictor(nn.Module):
    """Lightly's decoder, from visible tokens to the teacher's tokens."""

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__()
        self.sequence_length = vit.patch_embed.num_patches + vit.num_prefix_tokens
        self.embed = nn.Linear(vit.embed_dim, 128)
        self.decoder = MaskedVisionTransformerDecoderTIMM(
            vit.patch_embed.num_patches, embed_dim=128, depth=1, num_heads=4
        )
        self.head = nn.Linear(128, vit.embed_dim)

    def forward(self, visible: Tensor, idx_keep: Tensor, idx_mask: Tensor) -> Tensor:
        """Predicts tokens (B, n_mask, D) in the order of `idx_mask`."""
        size = (len(visible), self.sequence_length)
        tokens = utils.repeat_token(self.decoder.mask_token, size)
        tokens = utils.set_at_index(tokens, idx_keep, self.embed(visible))
        pred: Tensor = self.head(utils.get_at_index(self.decoder(tokens), idx_mask))
        return pred


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as specified on the command line; returns the exit status."""
    options = parse_loop_options(
        "Train Lightly's vision transformer to predict a teacher's tokens.",
        arguments,
        max_steps=300,
        batch_size=16,
        learning_rate=5e-4,
        out="run_latent",
    )
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = LoopLog(options)
    store = open_store(options.store)
    frames = FaceClips(store, num_frames=1, stride=1, seed=options.seed)
    loader = clip_loader(frames, options.batch_size, seed=options.seed)

    vit = VisionTransformer(embed_dim=192, depth=4, num_heads=3, num_classes=0)
    backbone = MaskedVisionTransformerTIMM(vit=vit).to(device)
    predictor = Predictor(vit).to(device)
    teacher = EmaTeacher(backbone, method="encode")
    criterion = LatentPredictionLoss("smooth_l1")
    trained = [*backbone.parameters(), *predictor.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=options.learning_rate)
    for step, batch in enumerate(log.steps(loader)):
        images = batch["video"][:, :, 0].to(device) / 255
        size = (len(images), backbone.sequence_length)
        idx_keep, idx_mask = utils.random_token_mask(size, MASK_RATIO, device=device)
        targets = teacher(images)
        visible = backbone.encode(images, idx_keep=idx_keep)
        loss = criterion(predictor(visible, idx_keep, idx_mask), targets, idx_mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        teacher.update(
            backbone,
            linear_momentum(step, options.max_steps, FIRST_MOMENTUM, stretch=1.0),
        )
        log.loss(loss)
        if step == 0:
            first_targets = targets

    first, last = (
        # At each place by itself: features that say no more than where they are differ
        # between places and are equal in all images.
        float(torch.stack([std_of_l2_normalized(t) for t in tokens.unbind(1)]).mean())
        for tokens in (first_targets, targets)
    )
    console.print(f"spread over images: {first:.4f} at first, {last:.4f} now")
    torch.save(teacher.module.state_dict(), options.out / "model.pt")
    log.summarise(options.out / "model.pt")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
