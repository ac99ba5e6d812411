"""Draws an encoder's features of face videos.

    python recipes/visualize_features.py VIDEOS OUT --weights run/model --crop-face

writes to the folder OUT:

- `embedding.png`: every window of every video as a point, coloured by its track (each
  followed face is one), laid out by t-SNE so that windows with similar features are
  close together; with --embedding pca, or fewer than 16 different windows, the plane in
  which they differ most. `embedding.csv` has the coordinates and the places;
- `overlays/<video>_<track>.gif` and `.png` for the first tracks (--max-overlays): a
  window of it | cosine similarity of every token's feature to that of a chosen token |
  attention of this token, in multiples of uniform attention.

VIDEOS is a folder (searched recursively), one file, or a glob pattern in quotes.
--crop-face tracks the main face, --all-faces every face; without them, the frames count
as crops of a face. --crops-like STORE uses the crop options of the store that the model
was trained on. --query chooses the token as TIME,ROW,COLUMN in the grid of tokens
(framed in green; the default is the middle one) or "mean" for the mean of all tokens.

Exit status: 0 when done, even if some of the videos could not be used (they are named
with their reasons); 2 for bad arguments or weights, or when no video gave a window.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.text import Text

from lightly_marlin.analysis import token_attention, token_similarity
from lightly_marlin.analysis.plane_embedding import METHODS, embed_in_plane
from lightly_marlin.analysis.points_table import write_points_table
from lightly_marlin.analysis.token_query import parse_token
from lightly_marlin.analysis.window_points import VideoPoints, encode_points
from lightly_marlin.features import ExtractionOptions, Window
from lightly_marlin.models import MarlinEncoder, load_encoder
from lightly_marlin.preparation import VideoFile, find_videos
from lightly_marlin.store.crop_arguments import (
    add_crop_arguments,
    crop_options,
    crops_faces,
)
from lightly_marlin.store.format import video_id
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, progress, run_recipe
from lightly_marlin.utils.device import choose_device
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization import (
    EmbeddedClip,
    PanelText,
    embedding_sheet,
    feature_panels,
    moment_captions,
    write_panels,
)

NUM_COLUMNS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws features as specified on the command line.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the input cannot be used, or no video gave a window.
    """
    options = parse_arguments(arguments)
    device = choose_device(options.device)
    encoder = load_encoder(options.weights, options.model).to(device)
    token = parse_token(options.query, encoder.config.grid)
    files = find_videos(options.videos, exclude=options.out)
    try:
        (options.out / "overlays").mkdir(parents=True, exist_ok=True)
        videos = draw_overlays(encoder, token, files, options)
        if not videos:
            raise UsageError(
                f"None of the {len(files)} videos gave a window. The reasons are "
                "listed above."
            )
        save_embedding(videos, options.embedding, options.out)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"Cannot write to {options.out}: {reason}.") from error
    console.print(f"Pictures: {options.out}", markup=False, soft_wrap=True)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Draw an encoder's features of face videos.")
    add = parser.add_argument
    add("videos", metavar="VIDEOS", help="a folder, a file, or a pattern in quotes")
    add("out", metavar="OUT", type=Path, help="folder of the pictures")
    add("--weights", required=True, help="weights of an encoder, in any known layout")
    add("--model", help="sizes of the model (default: inferred from the weights)")
    add("--crop-face", action="store_true", help="find and crop the main face")
    add("--all-faces", action="store_true", help="crop every face")
    add_crop_arguments(parser)
    add("--embedding", choices=METHODS, default="tsne", help="default: tsne")
    add(
        "--query",
        default="middle",
        help="token as TIME,ROW,COLUMN, or mean (default: middle)",
    )
    for name, default, text in (
        ("--max-overlays", 8, "tracks that get an overlay"),
        ("--sample-rate", 2, "frames between sampled frames"),
        ("--stride", 16, "sampled frames from window to window"),
    ):
        text = f"{text} (default: {default})"
        add(name, type=positive_integer, default=default, metavar="N", help=text)
    add("--device", default="auto", help="such as cpu or cuda:1 (default: a GPU)")
    return parser.parse_args(arguments)


def draw_overlays(
    encoder: MarlinEncoder,
    token: int | None,
    files: Sequence[VideoFile],
    options: argparse.Namespace,
) -> dict[str, VideoPoints]:
    """Encodes videos, draws the first tracks, and returns the videos with windows."""
    extraction = ExtractionOptions(
        crop_face=crops_faces(options),
        all_faces=options.all_faces,
        sample_rate=options.sample_rate,
        stride=options.stride,
        **vars(crop_options(options)),
    )
    videos: dict[str, VideoPoints] = {}
    num_tracks = 0
    points = encode_points(encoder, [file.path for file in files], extraction)
    with progress() as bar:
        task = bar.add_task("videos", total=len(files), unit="videos")
        for file, video in zip(files, points, strict=True):
            show_reason(file.source, video.end.reason)
            for _, window in sorted(video.first_windows.items()):
                if num_tracks < options.max_overlays:
                    fps = video.end.info.fps
                    save_overlay(encoder, window, token, file.source, fps, options)
                num_tracks += 1
            video.first_windows.clear()
            if video.points:
                videos[file.source] = video
            bar.advance(task)
    drawn = min(num_tracks, options.max_overlays)
    console.print(f"Overlays of {drawn} of {num_tracks} tracks (--max-overlays).")
    return videos


def save_overlay(
    encoder: MarlinEncoder,
    window: Window,
    token: int | None,
    source: str,
    fps: float,
    options: argparse.Namespace,
) -> None:
    """Writes a window overlaid with the similarity and attention of its tokens."""
    config = encoder.config
    clip = torch.from_numpy(window.clip).permute(3, 0, 1, 2)[None]
    with torch.inference_mode():
        videos = clip.to(encoder.pos_embed.device)
        similarity = token_similarity(encoder.encode(videos), token).cpu()
        attention = token_attention(encoder, videos, token).cpu()
    panels, footer = feature_panels(
        clip,
        similarity,
        attention,
        token=token,
        tubelet_size=config.tubelet_size,
        patch_size=config.patch_size,
    )
    places = [min(n, window.num_frames - 1) for n in range(config.num_frames)]
    moments = [window.start_frame + n * options.sample_rate for n in places]
    title = f"{source}, track {window.track}"
    # One column per tubelet, as far as they fit: its frames share the same heat.
    columns = min(NUM_COLUMNS, config.grid[0])
    frames = torch.linspace(0, config.grid[0] - 1, columns).round().long()
    write_panels(
        options.out / "overlays",
        f"{video_id(source)}_{window.track:03d}",
        panels,
        (frames * config.tubelet_size).tolist(),
        config.num_frames * options.sample_rate / fps,
        PanelText(title, moment_captions(moments, fps), footer),
    )


def save_embedding(videos: dict[str, VideoPoints], method: str, out: Path) -> None:
    """Writes the windows of all videos as points in a plane, picture and table."""
    points = [(source, point) for source in videos for point in videos[source].points]
    embedding = embed_in_plane(
        torch.stack([point.feature for _, point in points]), method
    )
    show_reason("embedding", embedding.reason)
    numbers: dict[tuple[str, int], int] = {}
    clips = []
    for (source, point), (x, y) in zip(
        points, embedding.coordinates.tolist(), strict=True
    ):
        number = numbers.setdefault((source, point.track), len(numbers))
        clips.append(EmbeddedClip((x, y), number, point.picture))
    sources = Counter(source for source, _ in numbers)
    names = [
        f"{source}, track {track}" if sources[source] > 1 else source
        for source, track in numbers
    ]
    with atomic_write(out / "embedding.png") as path:
        embedding_sheet(clips, names, embedding.axes, embedding.meaning).save(path)
    write_points_table(out / "embedding.csv", videos, embedding.coordinates)
    text = f"{len(points)} windows of {len(numbers)} tracks. {embedding.meaning}"
    console.print(text, markup=False, soft_wrap=True)


def show_reason(subject: str, reason: str | None) -> None:
    """Prints a note about a video or the embedding."""
    if reason is not None:
        line = Text(f"{subject}: ").append(reason, style="yellow")
        console.print(line, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(run_recipe(main, "faces", "plots"))
