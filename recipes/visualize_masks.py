"""Draws the masks of all strategies side by side over a clip of a face store.

    pip install ".[train]"
    python recipes/visualize_masks.py --store STORE --out masks

Writes OUT/masks.png, a row per strategy with the first frame of every tubelet, and
OUT/masks.gif. Visible tokens are shown unchanged; masked tokens are painted in the
colours of the regions under them, which shows what a strategy hides first. In "fasking,
half decoded", the masked tokens that running cells do not decode are hatched. The GIF
plays more slowly than the video, at 8 frames per second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from lightly_marlin.data import FaceClip, FaceClips
from lightly_marlin.demo import open_store
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization import (
    PanelText,
    draw_every_mask,
    mask_animation,
    mask_sheet,
    write_gif,
)

NUM_FRAMES = 16
FRAMES_PER_SECOND = 8.0


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws masks as specified on the command line; returns the exit status."""
    options = parse_arguments(arguments)
    torch.manual_seed(options.seed)
    clip = choose_clip(options.store, options.track)
    try:
        masks = draw_every_mask(
            clip["video"], clip["regions"], options.mask_ratio, seed=options.seed
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The folder {options.out} cannot be written: {error.strerror}. Choose "
            "another with --out."
        ) from error
    video, cells = clip["video"], clip["regions"]
    share = f"{100 * options.mask_ratio:.3g} %"
    text = PanelText(f"{share} of the tokens are masked (painted); the rest is visible")
    sheet = mask_sheet(video, masks, cells, num_frames=NUM_FRAMES // 2, text=text)
    with atomic_write(options.out / "masks.png") as path:
        sheet.save(path)
    pictures = mask_animation(video, masks, cells, text=text)
    with atomic_write(options.out / "masks.gif") as path:
        write_gif(path, pictures, seconds=len(pictures) / FRAMES_PER_SECOND)
    console.print(f"{clip['track_id']}: {options.out}/masks.png and masks.gif")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
