"""Shows what an encoder makes of face videos.

    python recipes/visualize_features.py VIDEOS OUT --weights run/model --crop-face

writes to the folder OUT:

- `embedding.png`: every window of every video as a point, coloured by its track (each
  followed face is one), in the plane in which their features differ most (the first
  two principal components); `embedding.csv` has the coordinates and the places;
- `overlays/<video>_<track>.gif` and `.png` for the first tracks (--max-overlays): a
  window of it | how similar the feature of every token is to that of a chosen one, in
  cosine | where this token attends to, in multiples of even attention.

VIDEOS is a folder (searched recursively), one file, or a glob pattern in quotes.
--crop-face follows the main face, --all-faces every face; without, the frames are taken
as crops of a face. --query chooses the token as TIME,ROW,COLUMN in the grid of tokens
(framed in green; the default is the middle one) or "mean" for the mean of all tokens.

Exit status: 0 when done, also if some of the videos could not be used (they are named
with their reasons); 2 for bad arguments or weights, or when no video gave a window.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from rich.text import Text
from torch import Tensor

from lightly_marlin.data import VideoFile, find_videos
from lightly_marlin.data.store_format import video_id
from lightly_marlin.features import (
    ExtractionOptions,
    PrincipalPlane,
    Window,
    WindowEncoder,
    principal_plane,
    token_attention,
    token_similarity,
)
from lightly_marlin.features.video_stream import VideoEnd, stream_windows
from lightly_marlin.models import MarlinConfig, MarlinEncoder, load_encoder
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, progress, run_recipe
from lightly_marlin.utils.device import choose_device
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization import (
    EmbeddedClip,
    embedding_sheet,
    feature_overlay,
    write_gif,
)
from lightly_marlin.visualization.reconstruction_panels import (
    animation,
    picture_sheet,
)

NUM_COLUMNS = 8
PICTURE_SIDE = 64
# Of attention, a few tokens would leave all others black.
BRIGHTEST = 0.99


@dataclass(frozen=True)
class Point:
    """A window: its feature (D,), its place in the video, and a picture of it."""

    feature: Tensor
    track: int
    start_frame: int
    num_frames: int
    picture: Image.Image


@dataclass
class VideoPoints:
    """The windows of a video, and of each track the first one for the overlay."""

    source: str
    fps: float = 25.0
    points: list[Point] = field(default_factory=list)
    first_windows: dict[int, Window] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws as the command line says.

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
    query = parse_query(options.query, encoder.config)
    files = find_videos(options.videos, exclude=options.out)
    try:
        (options.out / "overlays").mkdir(parents=True, exist_ok=True)
        videos, left_out = [], 0
        room = options.max_overlays
        for video in encode_videos(encoder, files, options):
            videos.append(video)
            for track, window in sorted(video.first_windows.items()):
                if room > 0:
                    name = f"{video_id(video.source)}_{track:03d}"
                    path = options.out / "overlays" / name
                    rate = video.fps / options.sample_rate
                    save_overlay(encoder, window, query, path, rate)
                    room -= 1
                else:
                    left_out += 1
            video.first_windows.clear()
        if not videos:
            raise UsageError(
                f"None of the {len(files)} videos gave a window. The reasons are "
                "listed above."
            )
        plane = save_embedding(videos, options.out)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"Cannot write to {options.out}: {reason}.") from error
    show_totals(plane, options.max_overlays - room, left_out, options.out)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Show what an encoder makes of face videos.")
    add = parser.add_argument
    add("videos", metavar="VIDEOS", help="a folder, a file, or a pattern in quotes")
    add("out", metavar="OUT", type=Path, help="folder of the pictures")
    add("--weights", required=True, help="weights of an encoder, of any known kind")
    add("--model", help="sizes of the model (default: told from the weights)")
    add("--crop-face", action="store_true", help="find and crop the main face")
    add("--all-faces", action="store_true", help="crop every face")
    add(
        "--query",
        default="middle",
        help="token as TIME,ROW,COLUMN, or mean (default: middle)",
    )
    for name, default, text in (
        ("--max-overlays", 8, "tracks that get an overlay"),
        ("--sample-rate", 2, "every so many frames, one is taken"),
        ("--stride", 16, "sampled frames from window to window"),
        ("--min-face", 40, "about the smallest face to look for, in pixels"),
    ):
        text = f"{text} (default: {default})"
        add(name, type=positive_integer, default=default, metavar="N", help=text)
    add("--device", default="auto", help="such as cpu or cuda:1 (default: a GPU)")
    return parser.parse_args(arguments)


def parse_query(text: str, config: MarlinConfig) -> int | None:
    """Returns the index of the token that --query names, None for the mean."""
    if text == "mean":
        return None
    grid = config.grid
    if text == "middle":
        place = [size // 2 for size in grid]
    else:
        place = [int(part) if part.isdecimal() else -1 for part in text.split(",")]
    if len(place) != 3 or not all(
        0 <= number < size for number, size in zip(place, grid, strict=True)
    ):
        raise UsageError(
            f"Invalid --query {text}. Supported are middle, mean, and TIME,ROW,COLUMN "
            f"from 0,0,0 to {','.join(str(size - 1) for size in grid)}."
        )
    return (place[0] * grid[1] + place[1]) * grid[2] + place[2]


def encode_videos(
    encoder: MarlinEncoder, files: Sequence[VideoFile], options: argparse.Namespace
) -> Iterator[VideoPoints]:
    """Yields every video that gives windows; says why others do not."""
    extraction = ExtractionOptions(
        crop_face=options.crop_face or options.all_faces,
        all_faces=options.all_faces,
        sample_rate=options.sample_rate,
        stride=options.stride,
        min_face=options.min_face,
    )
    windows: WindowEncoder[tuple[int, int, int, Image.Image]] = WindowEncoder(encoder)
    config = encoder.config
    events = stream_windows(
        [file.path for file in files],
        extraction,
        num_frames=config.num_frames,
        size=config.img_size,
    )
    video = VideoPoints("")
    with progress() as bar:
        task = bar.add_task("videos", total=len(files), unit="videos")
        for index, event in events:
            if isinstance(event, Window):
                video.first_windows.setdefault(event.track, event)
                key = (event.track, event.start_frame, event.num_frames)
                picture = make_picture(event)
                video.points += to_points(windows.add((*key, picture), event.clip))
                continue
            video.points += to_points(windows.flush())
            show_reason(files[index].source, event)
            if event.status == "ok" and video.points:
                video.source, video.fps = files[index].source, event.info.fps
                video.points.sort(key=lambda point: (point.track, point.start_frame))
                yield video
            video = VideoPoints("")
            bar.advance(task)


def to_points(
    encoded: Iterable[tuple[tuple[int, int, int, Image.Image], Tensor]],
) -> list[Point]:
    """Returns windows that were encoded as points."""
    points = []
    for (track, start, count, picture), feature in encoded:
        if not feature.isfinite().all():
            raise UsageError("The weights give features that are not finite.")
        points.append(Point(feature, track, start, count, picture))
    return points


def make_picture(window: Window) -> Image.Image:
    """Returns the middle one of the frames that are not padding, small."""
    frame = Image.fromarray(window.clip[window.num_frames // 2])
    return frame.resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)


def save_overlay(
    encoder: MarlinEncoder,
    window: Window,
    query: int | None,
    path: Path,
    frames_per_second: float,
) -> None:
    """Writes a window under the similarity and the attention of its tokens."""
    config = encoder.config
    clip = torch.from_numpy(window.clip).permute(3, 0, 1, 2)[None]
    with torch.inference_mode():
        videos = clip.to(encoder.pos_embed.device)
        similarity = token_similarity(encoder.encode(videos), query).cpu()
        attention = token_attention(encoder, videos, query).cpu() * config.num_tokens
    panels = {"original": clip.float() / 255}
    for caption, values, brightest in (
        (f"similarity to {'mean' if query is None else 'token'}", similarity, 1.0),
        ("mean attention" if query is None else "its attention", attention, BRIGHTEST),
    ):
        low, high = float(values.min()), float(values.quantile(brightest))
        # Of equal values, none stands out.
        high = max(high, low + 1e-6)
        panels[f"{caption}: {low:.2f} to {high:.2f}"] = feature_overlay(
            clip,
            values,
            (low, high),
            query=query,
            tubelet_size=config.tubelet_size,
            patch_size=config.patch_size,
        )
    # One column per tubelet, as far as they fit: frames of one have the same heat.
    columns = min(NUM_COLUMNS, config.grid[0])
    frames = torch.linspace(0, config.grid[0] - 1, columns).round().long()
    with atomic_write(path.with_name(f"{path.name}.png")) as temporary:
        sheet = picture_sheet(panels, (frames * config.tubelet_size).tolist())
        sheet.save(temporary)
    with atomic_write(path.with_name(f"{path.name}.gif")) as temporary:
        pictures = animation(panels)
        write_gif(temporary, pictures, seconds=len(pictures) / frames_per_second)


def save_embedding(videos: Sequence[VideoPoints], out: Path) -> PrincipalPlane:
    """Writes the windows of all videos as points in a plane, picture and table."""
    plane = principal_plane(
        torch.stack([point.feature for video in videos for point in video.points])
    )
    numbers: dict[tuple[str, int], int] = {}
    clips, rows = [], []
    coordinates = iter(plane.coordinates.tolist())
    for video in videos:
        for point in video.points:
            x, y = next(coordinates)
            number = numbers.setdefault((video.source, point.track), len(numbers))
            clips.append(EmbeddedClip((x, y), number, point.picture))
            seconds = point.start_frame / video.fps
            place = (point.track, point.start_frame, f"{seconds:.3f}")
            rows.append((video.source, *place, point.num_frames, x, y))
    names = [f"{source}, track {track}" for source, track in numbers]
    axes = [
        f"principal component {number}: {100 * share:.0f} % of the variance"
        for number, share in enumerate(plane.shares, start=1)
    ]
    with atomic_write(out / "embedding.png") as path:
        embedding_sheet(clips, names, (axes[0], axes[1])).save(path)
    with (
        atomic_write(out / "embedding.csv") as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(
            ("source", "track", "start_frame", "start_seconds", "num_frames", "x", "y")
        )
        writer.writerows(rows)
    return plane


def show_reason(source: str, end: VideoEnd) -> None:
    """Says what there is to say about a video."""
    if end.reason is not None:
        line = Text(f"{source}: ").append(end.reason, style="yellow")
        console.print(line, soft_wrap=True)


def show_totals(
    plane: PrincipalPlane, num_overlays: int, left_out: int, out: Path
) -> None:
    """Says what was drawn."""
    text = (
        f"{len(plane.coordinates)} windows, of whose variance the plane shows "
        f"{100 * sum(plane.shares):.0f} %. Overlays of {num_overlays} of "
        f"{num_overlays + left_out} tracks (--max-overlays). Pictures: {out}"
    )
    console.print(text, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(run_recipe(main))
