"""Contrast of two clips of each face track in a Lightly training loop.

    pip install ".[train]"
    python recipes/contrast_in_lightly_loop.py --store STORE --out run_contrast

SimCLR [0] with clips in the place of augmented images: two clips of a track are to have
similar vectors, clips of other tracks different ones. The head and the loss are
Lightly's. `FaceClipPairs` draws the clips, `DistinctGroupSampler` keeps two tracks of
one video out of a batch, and `ClipContrastLoss` calls the loss in float32.

The encoder sees a random tenth of the tokens of each clip, which makes it about ten
times cheaper and takes the place of SimCLR's crops. Two clips of a track share
identity, light and background, so these are what the features learn: do not expect
expressions. Add `ClipAugmentation` against light, and other losses for the rest.
RUN/encoder is for `MarlinEncoder.from_pretrained`.

- [0]: SimCLR, 2020, https://arxiv.org/abs/2002.05709
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch
from lightly.models.modules.heads import SimCLRProjectionHead
from torch.utils.data import DataLoader

from lightly_marlin.data import DistinctGroupSampler, FaceClipPairs
from lightly_marlin.demo import open_store
from lightly_marlin.loss import ClipContrastLoss
from lightly_marlin.models import create_marlin_encoder
from lightly_marlin.training import LoopLog, parse_loop_options
from lightly_marlin.transforms import random_tubelet_mask
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError

MASK_RATIO = 0.9
TEMPERATURE = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as specified on the command line; returns the exit status."""
    options = parse_loop_options(
        "Train an encoder to recognise clips of the same face track.",
        arguments,
        max_steps=300,
        batch_size=8,
        learning_rate=5e-4,
        out="run_contrast",
    )
    if options.batch_size < 2:
        raise UsageError("Contrast needs other clips: raise --batch-size to 2 or more.")
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = LoopLog(options)
    clips = FaceClipPairs(open_store(options.store), seed=options.seed)
    sampler = DistinctGroupSampler(
        clips.column("source"), options.batch_size, seed=options.seed
    )
    loader = DataLoader(clips, options.batch_size, sampler=sampler)
    if clips.num_overlapping:
        console.print(
            f"{clips.num_overlapping} of {len(clips)} tracks are too short for two "
            "separate clips: theirs overlap."
        )
    console.print(f"loss by chance {math.log(2 * options.batch_size - 1):.5f}")

    encoder = create_marlin_encoder("marlin_vit_tiny").to(device)
    dim = encoder.embed_dim
    head = SimCLRProjectionHead(dim, dim, 128, batch_norm=False).to(device)
    criterion = ClipContrastLoss(TEMPERATURE)
    trained = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=options.learning_rate)
    for batch in log.steps(loader):
        # Both clips in one forward pass: the first half and the second.
        videos = torch.cat([batch["video"], batch["video_b"]]).to(device)
        size = (len(videos), encoder.config.grid)
        idx_keep, _ = random_tubelet_mask(size, MASK_RATIO, generator=generator)
        tokens = encoder.encode(videos, idx_keep=idx_keep.to(device))
        first, second = head(tokens.mean(dim=1)).chunk(2)
        loss = criterion(first, second)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.loss(loss)

    encoder.save_pretrained(options.out / "encoder")
    log.summarise(options.out / "encoder")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
