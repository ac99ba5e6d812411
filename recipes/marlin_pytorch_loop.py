"""MARLIN in a plain PyTorch loop.

    pip install ".[train]"
    python recipes/marlin_pytorch_loop.py --store STORE --out run_pytorch

The whole method in one loop: Fasking, one forward, the critic's update, the generator's
update. Departs from the released training in its size (the tiny model), a constant
learning rate, a smaller weight of the adversarial loss, as the tiny model needs it, and
in what pretrain_marlin.py adds: schedule, validation, pictures, resuming. RUN/model is
for `Marlin.from_pretrained`.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from lightly_marlin.data import FaceClips, clip_loader
from lightly_marlin.demo import open_store
from lightly_marlin.kernels import gather_tubelets
from lightly_marlin.loss import MarlinAdversarialLoss, MarlinReconstructionLoss
from lightly_marlin.models import (
    MarlinDiscriminator,
    accelerate_cpu,
    create_marlin,
)
from lightly_marlin.training import LoopLog, parse_loop_options
from lightly_marlin.transforms import RegionCells, fasking_token_mask
from lightly_marlin.utils.console import run_recipe

ADVERSARIAL_WEIGHT = 0.001
DISCRIMINATOR_RATE = 0.02  # times the learning rate, or the critic runs away


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the command line says; returns the exit status."""
    options = parse_loop_options(
        "Train MARLIN in a plain PyTorch loop.",
        arguments,
        max_steps=300,
        batch_size=2,
        learning_rate=1e-3,
        out="run_pytorch",
    )
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = LoopLog(options)
    clips = FaceClips(open_store(options.store), seed=options.seed)
    loader = clip_loader(clips, options.batch_size, seed=options.seed)

    model = create_marlin("marlin_vit_tiny").to(device)
    config = model.config
    critic = MarlinDiscriminator(config.patch_dim, 4 * config.decoder_dim)
    critic = accelerate_cpu(critic).to(device)
    rate = options.learning_rate
    optimizer = torch.optim.AdamW(model.parameters(), rate, (0.9, 0.95), weight_decay=0)
    critic_optimizer = torch.optim.AdamW(
        critic.parameters(), DISCRIMINATOR_RATE * rate, (0.9, 0.95), weight_decay=0
    )
    reconstruction = MarlinReconstructionLoss()
    adversarial = MarlinAdversarialLoss()

    for batch in log.steps(loader):
        videos = batch["video"].to(device)  # uint8 (B, 3, 16, 224, 224)
        idx_keep, idx_mask = fasking_token_mask(
            RegionCells(batch["regions"].to(device)), generator=generator
        )
        pred = model(videos, idx_keep, idx_mask)

        real = gather_tubelets(videos, idx_mask, dtype=pred.dtype)
        critic_loss = adversarial.discriminator_loss(
            critic(real), critic(pred.detach())
        )
        critic_optimizer.zero_grad()
        critic_loss.backward()  # type: ignore[no-untyped-call]
        critic_optimizer.step()

        loss = reconstruction(pred, videos, idx_mask)
        critic.requires_grad_(False)
        fooling = adversarial.generator_loss(critic(pred))
        optimizer.zero_grad()
        total = loss + ADVERSARIAL_WEIGHT * fooling
        total.backward()
        optimizer.step()
        critic.requires_grad_(True)
        log.loss(loss)

    model.save_pretrained(options.out / "model")
    log.summarise(options.out / "model")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
