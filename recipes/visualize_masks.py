"""Draws the masks of all strategies side by side over a clip of a face store.

    pip install .
    python recipes/visualize_masks.py --store STORE --out masks

Writes OUT/masks.png, a row per strategy with the first frame of every tubelet, and
OUT/masks.gif. What the encoder sees is shown as filmed; masked tokens are painted in
the colours of the regions under them, so what a strategy hides first can be seen. In
the last row, the masked tokens that running cells do not decode are hatched.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from lightly_marlin.data import FaceClip, FaceClips, open_store
from lightly_marlin.regions import RegionCells
from lightly_marlin.training import MASKS, BatchMasking
from lightly_marlin.transforms import indices_to_mask
from lightly_marlin.transforms.crfrp import COVERED_REGIONS, tokens_in_region
from lightly_marlin.transforms.tubelet_regions import tubelet_bits
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization import mask_animation, mask_sheet, write_gif

NUM_FRAMES = 16
FRAMES_PER_SECOND = 8.0
PATCH_SIZE = 16
TUBELET_SIZE = 2

HALF = "fasking, half decoded"

EXPLANATIONS = {
    "fasking": "background stays visible, then skin; eyes, nose, mouth and hair last",
    "tube": "the same places in all tubelets",
    "frame": "whole tubelets, and a few tokens more, to hide as many as the others",
    "random": "any token",
    "crfrp": "all of one region, the rest in proportion; hidden whole here: {covered}",
    "motion": "drawn in the middle of the clip; visible places follow what moves",
    HALF: "the same mask; running cells choose what of it the decoder predicts",
}
"""What to see in each row."""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options of the command line."""
    parser = RecipeParser(description="Draw the masks of all strategies side by side.")
    parser.add_argument(
        "--store", help="made by preprocess_faces.py; default: built-in demo clips"
    )
    parser.add_argument("--track", help="name of a track, default: the first")
    parser.add_argument(
        "--mask-ratio", type=float, default=0.9, help="in (0, 1), default: 0.9"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the masks, default: 0")
    parser.add_argument(
        "--out", type=Path, default=Path("masks"), help="folder, default: masks"
    )
    return parser.parse_args(arguments)


def choose_clip(store: str | None, track: str | None) -> FaceClip:
    """Returns the middle clip of a track."""
    clips = FaceClips(open_store(store), num_frames=NUM_FRAMES, start="center")
    if track is None:
        return clips[0]
    if track not in clips.track_ids:
        raise UsageError(
            f"There is no track {track} of {NUM_FRAMES} frames in {clips.store.path}. "
            f"The first of {len(clips)} is {clips.track_ids[0]}."
        )
    return clips[clips.track_ids.index(track)]


def draw_masks(clip: FaceClip, mask_ratio: float, seed: int) -> dict[str, Tensor]:
    """Returns idx_mask (n_mask,) of each strategy, by its name; of the last, half."""
    masking = partial(
        BatchMasking,
        mask_ratio=mask_ratio,
        grid=_grid(clip),
        patch_size=PATCH_SIZE,
        tubelet_size=TUBELET_SIZE,
        seed=seed,
    )
    strategies = {name: masking(name) for name in MASKS}
    strategies[HALF] = masking("fasking", decode_ratio=0.5)
    return {
        name: strategy(*_batch(clip))[1][0] for name, strategy in strategies.items()
    }


def covered_regions(clip: FaceClip, idx_mask: Tensor) -> list[str]:
    """Returns the regions of which every token is masked."""
    cells = RegionCells(clip["regions"].unsqueeze(0))
    bits = tubelet_bits(cells, PATCH_SIZE, TUBELET_SIZE).flatten()
    masked = indices_to_mask(idx_mask.unsqueeze(0), len(bits))[0]
    tokens = {
        name: tokens_in_region(bits, region) for name, region in COVERED_REGIONS.items()
    }
    return [name for name, here in tokens.items() if here.any() and masked[here].all()]


def _grid(clip: FaceClip) -> tuple[int, int, int]:
    """Returns the token grid (t, h, w)."""
    _, frames, height, width = clip["video"].shape
    return frames // TUBELET_SIZE, height // PATCH_SIZE, width // PATCH_SIZE


def _batch(clip: FaceClip) -> tuple[Tensor, int, int, Tensor]:
    """Returns cells, step, rank and videos, as `BatchMasking` takes them."""
    return clip["regions"].unsqueeze(0), 0, 0, clip["video"].unsqueeze(0)


def write_pictures(
    folder: Path,
    clip: FaceClip,
    masks: Mapping[str, Tensor],
    decoded: Mapping[str, Tensor],
) -> None:
    """Writes masks.png and masks.gif.

    Args:
        folder: Where to.
        clip: The clip.
        masks: idx_mask (n_mask,) of each strategy, by its name.
        decoded: What of it is decoded (n_decode,), where that is not all.
    """
    covered = ", ".join(covered_regions(clip, masks["crfrp"])) or "none"
    captions = {
        name: f"{name}: {EXPLANATIONS[name].format(covered=covered)}" for name in masks
    }
    sizes = {"patch_size": PATCH_SIZE, "tubelet_size": TUBELET_SIZE}
    sheet = mask_sheet(
        clip["video"],
        {captions[name]: idx_mask for name, idx_mask in masks.items()},
        clip["regions"],
        num_frames=NUM_FRAMES // TUBELET_SIZE,
        decoded={captions[name]: idx_decode for name, idx_decode in decoded.items()},
        **sizes,
    )
    with atomic_write(folder / "masks.png") as path:
        sheet.save(path)
    pictures = mask_animation(
        clip["video"], masks, clip["regions"], decoded=decoded, **sizes
    )
    with atomic_write(folder / "masks.gif") as path:
        write_gif(path, pictures, seconds=len(pictures) / FRAMES_PER_SECOND)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws as the command line says; returns the exit status."""
    options = parse_arguments(arguments)
    torch.manual_seed(options.seed)
    clip = choose_clip(options.store, options.track)
    try:
        masks = draw_masks(clip, options.mask_ratio, options.seed)
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The folder {options.out} cannot be written: {error.strerror}. Choose "
            "another with --out."
        ) from error
    decoded = {HALF: masks[HALF]}
    masks[HALF] = masks["fasking"]
    write_pictures(options.out, clip, masks, decoded)
    hidden, predicted = len(masks["fasking"]), len(decoded[HALF])
    console.print(
        f"{clip['track_id']}: {hidden} of {math.prod(_grid(clip))} tokens hidden, "
        f"{predicted} of them decoded in the last row"
    )
    console.print(f"{options.out}/masks.png and masks.gif")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main))
