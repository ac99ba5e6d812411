"""Fasking in Hugging Face's ViTMAE, through its `noise` argument.

    pip install ".[hf,train]"
    python recipes/fasking_in_hf_vitmae.py --store STORE --out run_hf_vitmae

`ViTMAEForPreTraining` takes no mask; it sorts `noise` and keeps the patches with the
lowest values. Noise that is 1 where Fasking masks and 0 elsewhere therefore makes the
model keep exactly Fasking's patches: both round the number to keep down. The model, its
loss and its image size are Hugging Face's own. The recipe departs from MAE in the mask
and in its size: a small model, newly initialised; `ViTMAEConfig()` is base, and
`ViTMAEForPreTraining.from_pretrained("facebook/vit-mae-base")` its weights. RUN/model
is for `ViTMAEModel.from_pretrained`.

- [0]: MAE, 2021, https://arxiv.org/abs/2111.06377
- [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from lightly.models.utils import initialize_2d_sine_cosine_positional_embedding

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

MASK_RATIO = 0.75
SMALL = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 768,
    "decoder_hidden_size": 128,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 4,
    "decoder_intermediate_size": 512,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as specified on the command line; returns the exit status."""
    options = parse_loop_options(
        "Train Hugging Face's ViTMAE with Fasking.",
        arguments,
        max_steps=300,
        batch_size=16,
        learning_rate=1e-3,
        out="run_hf_vitmae",
    )
    transformers = require("transformers", "Hugging Face's ViTMAE")
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = LoopLog(options)
    frames = FaceClips(
        open_store(options.store), num_frames=1, stride=1, seed=options.seed
    )
    loader = clip_loader(frames, options.batch_size, seed=options.seed)

    config = transformers.ViTMAEConfig(mask_ratio=MASK_RATIO, **SMALL)
    model = transformers.ViTMAEForPreTraining(config)
    # transformers fills these from checkpoints and leaves them zero in a new model.
    for table in (
        model.vit.embeddings.position_embeddings,
        model.decoder.decoder_pos_embed,
    ):
        initialize_2d_sine_cosine_positional_embedding(table, num_prefix_tokens=1)
    model.to(device).train()
    num_patches = model.vit.embeddings.patch_embeddings.num_patches
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
    for batch in log.steps(loader):
        images = batch["video"][:, :, 0].to(device) / 255
        _, idx_mask = fasking_token_mask(
            RegionCells(batch["regions"].to(device)),
            MASK_RATIO,
            patch_size=config.patch_size,
            tubelet_size=1,
            generator=generator,
        )
        noise = indices_to_mask(idx_mask, num_patches).float()
        output = model(images, noise=noise)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        log.loss(output.loss)

    model.save_pretrained(options.out / "model")
    log.summarise(options.out / "model")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train", "hf"))
