"""Draws a masked autoencoder's reconstruction of a face video.

    python recipes/visualize_reconstruction.py VIDEO OUT --weights run/model

finds the main face of any video, masks tokens of a clip of it and reconstructs them
with the model. It writes to the folder OUT:

- `reconstruction.gif` and `reconstruction.png`: original | mask over the face, in the
  colours of its regions | reconstruction | error, moving and as a sheet of frames;
- `masks.png`: the masks of all strategies on the same clip;
- `reconstruction.json`: the mean squared error of the masked pixels, the baseline of
  predicting the clip's mean colour, and the frames shown.

--weights takes anything that holds a whole model: released `.full.pt` files, Lightning
checkpoints, folders and repositories of the Hub, VideoMAE's pretraining, our own.
Models that were trained on normalised pixels or motion do not predict pixels: the true
mean and deviation of each token turn their predictions into some, and there is no
baseline then. --objective says so, where the weights do not lie in the folder of a run.
--start-seconds chooses the clip; the default is the middle of the face's appearance.
--crops-like STORE uses the crop options of the store that the model was trained on.

Exit status: 0 when done; 2 for bad arguments, weights that do not fit, a video that
cannot be used, or one without a face.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lightly_marlin.faces import (
    FaceTrack,
    landmarks_to_crop,
    regions_from_landmarks,
)
from lightly_marlin.models import Marlin, MarlinConfig, load_model
from lightly_marlin.preparation.crop_pass import crop_tracks
from lightly_marlin.preparation.video_faces import find_video_faces
from lightly_marlin.regions import RegionCells
from lightly_marlin.store.crop_arguments import add_crop_arguments, crop_options
from lightly_marlin.training import mean_color_loss
from lightly_marlin.training.objectives.building import build_objectives
from lightly_marlin.training.objectives.names import DECODING
from lightly_marlin.training.objectives.pixels import Pixels
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.settings import read_settings
from lightly_marlin.training.validation import reconstruct_clips
from lightly_marlin.transforms import BatchMasking, mask_choices
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, write_json
from lightly_marlin.visualization import (
    PanelText,
    draw_every_mask,
    mask_sheet,
    moment_captions,
    reconstruction_footer,
    reconstruction_panels,
    write_panels,
)

NUM_COLUMNS = 6


@dataclass(frozen=True)
class FaceClip:
    """A clip of a face: video (1, 3, T, H, W) uint8, cells (1, T, H / 8, W / 8)."""

    video: Tensor
    cells: Tensor
    frames: list[int]
    fps: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws a reconstruction as specified on the command line.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the weights, the video or an option cannot be used.
    """
    options = parse_arguments(arguments)
    model = load_model(options.weights, options.model)
    masking = make_masking(model.config, options)
    target = target_of(model, options)
    clip = read_clip(options.video, model.config, options)
    drawn = masking(clip.cells, 0, videos=clip.video)
    idx_mask, pred, loss = reconstruct_clips(
        model, clip.video, *drawn, to_pixels=target.to_pixels
    )
    sizes = {
        "tubelet_size": model.config.tubelet_size,
        "patch_size": model.config.patch_size,
    }
    panels = reconstruction_panels(clip.video, idx_mask, pred, clip.cells, **sizes)
    losses = {"loss": float(loss)}
    error = f"mean squared error {losses['loss']:.4f}"
    if target.predicts_pixels:
        baseline = float(mean_color_loss(clip.video, idx_mask, **sizes))
        losses["mean_color_loss"] = baseline
        error += f", of the mean colour {baseline:.4f}"
    share = f"{100 * options.mask_ratio:.3g} %"
    title = f"{options.video.name} · {options.mask}, {share} masked · {error}"
    moments = moment_captions(clip.frames, clip.fps)
    text = PanelText(title, moments, reconstruction_footer)
    result = {
        "video": options.video.name,
        "mask": options.mask,
        "mask_ratio": options.mask_ratio,
        "frames": clip.frames,
        **losses,
    }
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        index = torch.linspace(0, len(clip.frames) - 1, NUM_COLUMNS).round().long()
        seconds = len(clip.frames) * options.sample_rate / clip.fps
        name = "reconstruction"
        write_panels(options.out, name, panels, index.tolist(), seconds, text)
        save_masks(clip, options, **sizes)
        write_json(options.out / "reconstruction.json", result)
    except OSError as failure:
        reason = failure.strerror or failure
        raise UsageError(f"Cannot write to {options.out}: {reason}.") from failure
    done = f"Masked pixels: {error}. Pictures: {options.out}"
    console.print(done, markup=False, soft_wrap=True)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Draw a model's reconstruction of a masked face.")
    add = parser.add_argument
    add("video", metavar="VIDEO", type=Path, help="a video with a face")
    add("out", metavar="OUT", type=Path, help="folder of the pictures")
    add("--weights", required=True, help="weights of a whole model, in any layout")
    add("--model", help="sizes of the model (default: inferred from the weights)")
    add(
        "--objective",
        choices=DECODING,
        help="what the decoder was trained on (default: that of the run that the "
        "weights lie in, else pixels)",
    )
    add("--mask", default="fasking", help=f"{mask_choices()} (default: fasking)")
    add("--mask-ratio", type=float, default=0.9, help="default: 0.9")
    add(
        "--start-seconds",
        type=float,
        help="start of the clip (default: a clip in the middle)",
    )
    add_crop_arguments(parser)
    add(
        "--sample-rate",
        type=int,
        default=2,
        help="frames between sampled frames (default: 2)",
    )
    add("--seed", type=int, default=0, help="of the mask (default: 0)")
    options = parser.parse_args(arguments)
    if not 0 < options.mask_ratio < 1:
        raise UsageError(
            f"Invalid --mask-ratio {options.mask_ratio}. Supported is (0, 1)."
        )
    if options.sample_rate < 1:
        raise UsageError(f"Invalid --sample-rate {options.sample_rate}: at least 1.")
    return options


def make_masking(config: MarlinConfig, options: argparse.Namespace) -> BatchMasking:
    """Returns the masking strategy for a model's tokens."""
    try:
        return BatchMasking(
            options.mask,
            options.mask_ratio,
            grid=config.grid,
            patch_size=config.patch_size,
            tubelet_size=config.tubelet_size,
            seed=options.seed,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def target_of(model: Marlin, options: argparse.Namespace) -> Pixels:
    """Returns the objective that the decoder was trained on, which reads its output."""
    name = options.objective or objective_of_run(Path(options.weights)) or "pixels"
    return build_objectives(model, {name: 1.0})[name]  # type: ignore[return-value]


def objective_of_run(weights: Path) -> str | None:
    """Returns the decoder's objective in the run of some weights, or None without one.

    Raises:
        UsageError: If the run trained no decoder of pixels.
    """
    places = {"model": weights.parent, "last.ckpt": weights.parent.parent}
    config = RunFolder(places.get(weights.name, weights)).config
    if weights.name not in places or not config.is_file():
        return None
    names = read_settings([config], {}).objective_weights
    decoding = [name for name in DECODING if name in names]
    if not decoding:
        raise UsageError(
            f"The run in {config.parent} trained no decoder of pixels, but "
            f"{', '.join(names)}: there is no reconstruction to draw."
        )
    return decoding[0]


def read_clip(
    path: Path, config: MarlinConfig, options: argparse.Namespace
) -> FaceClip:
    """Finds the main face of a video and returns a clip of it with its regions."""
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    found = find_video_faces(path, crop_options(options))
    (track,), fps = found.select(), found.fps
    start = None if options.start_seconds is None else options.start_seconds * fps
    frames = choose_frames(track, config.num_frames, options.sample_rate, start)
    rows, size = np.array(frames) - track.start_frame, config.img_size
    wanted = set(rows.tolist())
    crops = {}
    for item in crop_tracks(path, [track], size, needed=lambda _, row: row in wanted):
        if item.crop is not None:
            crops[item.row] = item.crop
        if len(crops) == len(wanted):
            break
    video = np.stack([crops[row] for row in rows.tolist()])
    points = landmarks_to_crop(
        track.landmarks[rows], track.boxes[rows], size, track.angles[rows]
    )
    labels = regions_from_landmarks(points, size, size).astype(np.int16)
    cells = RegionCells.from_labels(torch.from_numpy(labels)).bits
    return FaceClip(
        torch.from_numpy(video).permute(3, 0, 1, 2)[None], cells[None], frames, fps
    )


def choose_frames(
    track: FaceTrack, num_frames: int, rate: int, start: float | None
) -> list[int]:
    """Returns the video's frames for the clip; if short, the last one repeats."""
    span = (num_frames - 1) * rate + 1
    last = track.start_frame + track.num_frames - 1
    if start is None:
        start = track.start_frame + max(0, (track.num_frames - span) // 2)
    elif not track.start_frame <= start <= last:
        raise UsageError(
            f"The face is there from frame {track.start_frame} to {last}, which leaves "
            f"out frame {start:.0f}. Choose another --start-seconds."
        )
    return [min(int(start) + index * rate, last) for index in range(num_frames)]


def save_masks(clip: FaceClip, options: argparse.Namespace, **sizes: int) -> None:
    """Writes the clip under the mask of every strategy as a sheet of frames."""
    video, cells = clip.video[0], clip.cells[0]
    masks = draw_every_mask(
        video, cells, options.mask_ratio, seed=options.seed, **sizes
    )
    share = f"{100 * options.mask_ratio:.3g} %"
    title = f"{options.video.name} · {share} of the tokens are masked (painted)"
    text = PanelText(title, moment_captions(clip.frames, clip.fps))
    with atomic_write(options.out / "masks.png") as path:
        mask_sheet(video, masks, cells, text=text, **sizes).save(path)


if __name__ == "__main__":
    sys.exit(run_recipe(main, "faces"))
