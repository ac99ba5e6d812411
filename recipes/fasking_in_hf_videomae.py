"""Fasking in Hugging Face's VideoMAE, through `bool_masked_pos`.

    pip install ".[hf,train]"
    python recipes/fasking_in_hf_videomae.py --store STORE --out run_hf_videomae

`VideoMAEForPreTraining` takes any mask that hides the same number of tokens in every
clip. Fasking returns int64 indices; `indices_to_mask` converts them to Hugging Face's
boolean mask: True is masked. The model, its loss and its order of axes (B, T, C, H, W)
are Hugging Face's own. The recipe departs from VideoMAE in the mask, in raw pixels as
targets (`norm_pix_loss=False`, as in MARLIN), and in its size: a small model, newly
initialised; `VideoMAEConfig()` is base, and
`VideoMAEForPreTraining.from_pretrained("MCG-NJU/videomae-base")` its weights. RUN/model
is for `VideoMAEModel.from_pretrained`.

- [0]: VideoMAE, 2022, https://arxiv.org/abs/2203.12602
- [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from lightly_marlin.data import FaceClips, clip_loader
from lightly_marlin.demo import open_store
from lightly_marlin.training import LoopLog, parse_loop_options
from lightly_marlin.transforms import (
    RegionCells,
    fasking_token_mask,
    indices_to_mask,
)
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.utils.dependency import require

MASK_RATIO = 0.9
NUM_FRAMES = 16
# ImageNet's statistics: the loss undoes exactly these, to get pixels in [0, 1].
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SMALL = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 768,
    "decoder_hidden_size": 96,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 3,
    "decoder_intermediate_size": 384,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as specified on the command line; returns the exit status."""
    options = parse_loop_options(
        "Train Hugging Face's VideoMAE with Fasking.",
        arguments,
        max_steps=300,
        batch_size=2,
        learning_rate=1e-3,
        out="run_hf_videomae",
    )
    transformers = require("transformers", "Hugging Face's VideoMAE")
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = LoopLog(options)
    clips = FaceClips(
        open_store(options.store), num_frames=NUM_FRAMES, stride=2, seed=options.seed
    )
    loader = clip_loader(clips, options.batch_size, seed=options.seed)

    config = transformers.VideoMAEConfig(
        num_frames=NUM_FRAMES, norm_pix_loss=False, **SMALL
    )
    model = transformers.VideoMAEForPreTraining(config).to(device).train()
    num_tokens = model.videomae.embeddings.num_patches
    mean = torch.tensor(MEAN, device=device).view(1, 1, 3, 1, 1)
    std = torch.tensor(STD, device=device).view(1, 1, 3, 1, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
    for batch in log.steps(loader):
        pixels = batch["video"].to(device).transpose(1, 2) / 255  # (B, T, C, H, W)
        _, idx_mask = fasking_token_mask(
            RegionCells(batch["regions"].to(device)),
            MASK_RATIO,
            patch_size=config.patch_size,
            tubelet_size=config.tubelet_size,
            generator=generator,
        )
        output = model(
            (pixels - mean) / std,
            bool_masked_pos=indices_to_mask(idx_mask, num_tokens),
        )
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        log.loss(output.loss)

    model.save_pretrained(options.out / "model")
    log.summarise(options.out / "model")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train", "hf"))
