"""Draws the faces found in videos: a contact sheet per video, as PNG or GIF.

    python recipes/visualize_faces.py VIDEOS_OR_STORE OUT
    python recipes/visualize_faces.py store sheets --format gif

A sheet shows source frames with crop boxes, track and person numbers and landmarks;
below, for each track, the crops with landmarks, with the facial regions painted, and
with the region cells that training reads.

Features:
- A face store is drawn directly. Its original videos are read from their paths at
  preparation; if one is missing or has changed, only the crops are shown.
- Raw videos (a folder, a file or a glob pattern in quotes) are first prepared, with
  every face, into a store that is deleted afterwards.
- OUT mirrors the folders of the videos, and a video's suffix is part of its sheet's
  name, so two videos never share a sheet.
- A video without a track gets a sheet with its frames and the reason.
- A PNG shows moments side by side; a GIF plays them.

Exit status: 0 done, also if one of many sheets cannot be written, which is then said; 2
bad arguments, or nothing to draw, or OUT cannot be written.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from lightly_marlin.faces import regions_from_landmarks
from lightly_marlin.preparation import find_videos, prepare_videos
from lightly_marlin.store import FaceStore, Track, VideoRecord
from lightly_marlin.store.format import CROP_SIZE, INDEX_NAME, video_id
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, one_line, progress, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.utils.remote import is_url
from lightly_marlin.video import VideoError, VideoReader
from lightly_marlin.visualization import (
    FaceCrop,
    FaceMark,
    SheetFrame,
    SheetTrack,
    face_sheet,
    write_gif,
)

_DEFAULT_FRAMES = {"png": 6, "gif": 24}
_GIF_COLUMNS = 3
# Larger source frames are shrunk when read: a sheet shows them smaller anyway.
_MAX_SIDE = 1600
_MAX_NAME_BYTES = 200
_RATE_FRAMES = 100


@dataclass(frozen=True)
class Video:
    """A video with its tracks, its path (None if it is missing), and its frame rate."""

    record: VideoRecord
    tracks: list[Track]
    path: Path | None
    fps: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the sheets.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the input or an option cannot be used, or OUT cannot be written.
    """
    options = parse_arguments(arguments)
    problems = []
    with open_videos(options) as videos, progress() as bar:
        for video in bar.track(videos, description="sheets"):
            path = sheet_path(options.out, video.record.source, options.format)
            pictures, seconds = draw(video, options)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                save(pictures, path, seconds)
            except OSError as error:
                reason = error.strerror or error
                problems.append(f"The sheet {path} cannot be written: {reason}.")
    if len(problems) == len(videos):
        raise UsageError(problems[0])
    text = f"{len(videos) - len(problems)} sheets are in {options.out}"
    for line in (*map(one_line, problems), text):
        console.print(line, markup=False, soft_wrap=True)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(
        description="Draw a contact sheet of the faces of each video."
    )
    parser.add_argument(
        "input",
        metavar="VIDEOS_OR_STORE",
        help="face store, or folder, file, or glob pattern of videos",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the sheets")
    parser.add_argument(
        "--format", choices=list(_DEFAULT_FRAMES), default="png", help="default: png"
    )
    parser.add_argument(
        "--frames",
        type=positive_integer,
        metavar="N",
        help="moments to show (default: 6 in a PNG, 24 in a GIF)",
    )
    parser.add_argument(
        "--max-tracks",
        type=positive_integer,
        default=6,
        metavar="N",
        help="tracks to show of a video, the largest first (default: 6)",
    )
    parser.add_argument(
        "--workers",
        type=positive_integer,
        metavar="N",
        help="worker processes that prepare raw videos (default: one per core)",
    )
    options = parser.parse_args(arguments)
    options.frames = options.frames or _DEFAULT_FRAMES[options.format]
    return options


@contextlib.contextmanager
def open_videos(options: argparse.Namespace) -> Iterator[list[Video]]:
    """Yields the videos of the store, or of a temporary one made from raw videos."""
    if is_url(options.input) or (Path(options.input) / INDEX_NAME).exists():
        store = FaceStore(options.input)
        records = store.records()
        if not records:
            raise UsageError(f"The store {store.path} holds no video to draw.")
        store.fetch(row for record in records for row in record.rows)
        yield collect(store, records, {})
        return
    paths = {file.source: file.path for file in find_videos(options.input)}
    with tempfile.TemporaryDirectory(prefix="faces-") as folder:
        prepare_videos(
            options.input, folder, num_workers=options.workers, all_faces=True
        )
        store = FaceStore(folder)
        yield collect(store, store.records(), paths)


def collect(
    store: FaceStore, records: list[VideoRecord], paths: dict[str, Path]
) -> list[Video]:
    """Joins the records with their tracks, largest first, and their files."""
    videos = []
    for record in records:
        tracks = [Track(row, store.path) for row in record.rows]
        tracks.sort(key=lambda track: -(track.row.face_size**2) * track.num_frames)
        path = paths.get(record.source) or find_source(record)
        fps = tracks[0].fps if tracks else frame_rate(path)
        videos.append(Video(record, tracks, path, fps))
    return videos


def find_source(record: VideoRecord) -> Path | None:
    """Returns the path of a video, or None if it is missing or has changed."""
    try:
        size = os.stat(record.path).st_size
    except (OSError, ValueError):
        return None
    return Path(record.path) if size == record.fingerprint.get("size") else None


def frame_rate(path: Path | None) -> float:
    """Returns the frames per second of a video without tracks; 25 if unknown."""
    with contextlib.suppress(VideoError):
        if path is not None:
            with VideoReader(path) as reader:
                # Headers may lie; the time stamps of some frames tell.
                for _ in reader.lazy_frames(0, _RATE_FRAMES):
                    pass
                return reader.fps
    return 25.0


def sheet_path(out: Path, source: str, suffix: str) -> Path:
    """Returns the path of a sheet: like the video's, below OUT."""
    parts = [part for part in PurePosixPath(source).parts if part not in ("/", "..")]
    name = f"{parts[-1]}.{suffix}"
    if len(os.fsencode(name)) > _MAX_NAME_BYTES:
        name = f"{video_id(source)}.{suffix}"
    return out.joinpath(*parts[:-1], name)


def draw(video: Video, options: argparse.Namespace) -> tuple[list[Image.Image], float]:
    """Returns the sheet of a video, or the pictures of its animation, and seconds."""
    shown = video.tracks[: options.max_tracks]
    length = video.record.num_frames
    moments = spread(length, options.frames)
    if not video.path and options.format == "gif" and shown:
        # Without the video, its largest track is played.
        first, length = shown[0].start_frame, shown[0].num_frames
        moments = [first + place for place in spread(length, options.frames)]
    frames, note = read_frames(video, moments)
    notes = [note] if note else []
    if video.record.reason:
        notes.append(sentence(video.record.reason))
    if len(shown) < len(video.tracks):
        notes.append(f"{len(video.tracks) - len(shown)} more tracks are not shown.")
    title = (video.record.source, describe_video(video, frames))
    if options.format == "png":
        tracks = [draw_track(video, track, options.frames) for track in shown]
        size = max(options.frames, 3)
        sheet = face_sheet(*title, frames, tracks, notes=notes, num_columns=size)
        return [sheet], 0.0
    pictures = []
    for number, moment in enumerate(moments or [0]):
        tracks = [draw_track_at(video, track, moment) for track in shown]
        frame = frames[number : number + 1]
        sheet = face_sheet(*title, frame, tracks, notes=notes, num_columns=_GIF_COLUMNS)
        pictures.append(sheet)
    return pictures, length / video.fps


def spread(length: int, count: int) -> list[int]:
    """Returns up to `count` distinct indices in [0, length), evenly spaced."""
    count = min(length, count)
    return [int((index + 0.5) * length / count) for index in range(count)]


def sentence(text: str) -> str:
    """Returns a reason as a sentence."""
    return text[:1].upper() + text[1:] + "."


def read_frames(
    video: Video, moments: list[int]
) -> tuple[list[SheetFrame], str | None]:
    """Reads source frames with the faces in them; returns the reason if it cannot."""
    if not moments:
        return [], None
    if video.path is None:
        return [], f"The video is no longer at {video.record.path}: crops only."
    wanted = set(moments)
    frames = []
    try:
        with VideoReader(video.path) as reader:
            for index, frame in enumerate(reader.frames(0, moments[-1] + 1)):
                if index in wanted:
                    second = float(reader.seconds[-1])
                    frames.append(mark_faces(video, index, frame, second))
    except VideoError as error:
        return [], sentence(error.reason)
    if len(frames) < len(moments):
        return [], f"The video {video.path} has become shorter: crops only."
    return frames, None


def mark_faces(
    video: Video, index: int, frame: np.ndarray, second: float
) -> SheetFrame:
    """Returns a source frame with the tracks that have a face in it."""
    scale = min(1.0, _MAX_SIDE / max(frame.shape[:2]))
    size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
    picture = Image.fromarray(frame).resize(size, Image.Resampling.BOX)
    marks = []
    for track in video.tracks:
        place = index - track.start_frame
        if 0 <= place < track.num_frames:
            number, person = numbers(track)
            text = f"{number} / p{person}"
            box = track.read_boxes([place])[0] * scale
            points = track.read_landmarks([place], in_source=True)[0]
            points = (points + 0.5) * scale - 0.5
            marks.append(FaceMark(text, person, box, points))
    caption = f"frame {index} · {second:.2f} s"
    return SheetFrame(np.asarray(picture), caption, marks)


def numbers(track: Track) -> tuple[int, int]:
    """Returns the numbers of a track and of its person within the video."""
    number = int(track.track_id.rsplit("_", 1)[1])
    return number, int(track.row.person_id.rsplit("_p", 1)[1])


def describe_video(video: Video, frames: Sequence[SheetFrame]) -> str:
    """Returns size, length, status and number of tracks."""
    parts = []
    if video.tracks:
        row = video.tracks[0].row
        seconds = video.record.num_frames / row.fps
        parts += [f"{row.width}x{row.height}", f"{row.fps:.4g} frames/s"]
        parts.append(f"{seconds:.1f} s")
    elif frames:
        height, width = frames[0].frame.shape[:2]
        parts.append(f"{width}x{height}")
    parts.append(f"{video.record.num_frames} frames")
    parts.append(video.record.status.replace("_", " "))
    people = {track.row.person_id for track in video.tracks}
    parts.append(f"tracks: {len(video.tracks)}, people: {len(people)}")
    return " · ".join(parts)


def draw_track(video: Video, track: Track, count: int) -> SheetTrack:
    """Returns a track with evenly spaced crops."""
    crops = read_crops(video, track, spread(track.num_frames, count))
    return as_sheet_track(track, crops)


def draw_track_at(video: Video, track: Track, moment: int) -> SheetTrack:
    """Returns a track with its crop of one source frame, if it has any."""
    place = moment - track.start_frame
    inside = 0 <= place < track.num_frames
    crops = read_crops(video, track, [place]) if inside else [None]
    return as_sheet_track(track, crops)


def as_sheet_track(track: Track, crops: Sequence[FaceCrop | None]) -> SheetTrack:
    """Joins crops with the track's name and qualities."""
    row = track.row
    number, person = numbers(track)
    last = row.start_frame + row.num_frames - 1
    details = [
        f"frames {row.start_frame} to {last}",
        f"face {row.face_width:.0f} px",
        f"coverage {100 * row.coverage:.0f} %",
        f"sharpness {row.sharpness:.2f}",
        f"luma {row.brightness:.0f}",
        f"yaw {round(row.yaw)}°",
        f"jitter {row.box_jitter:.4f}",
    ]
    name = f"track {number} · person {person}"
    return SheetTrack(name, person, details, crops)


def read_crops(video: Video, track: Track, frames: list[int]) -> list[FaceCrop]:
    """Reads some crops of a track with their landmarks, regions and captions."""
    pixels = track.read_video(frames).transpose(1, 2, 3, 0)
    cells = track.read_cells(frames).bits.numpy()
    landmarks = track.read_landmarks(frames)
    # Full regions are not stored; those from landmarks can be redrawn.
    redrawn = video.record.fingerprint.get("parser") is None
    labels = regions_from_landmarks(landmarks, CROP_SIZE, CROP_SIZE)
    return [
        FaceCrop(
            crop=np.ascontiguousarray(pixels[index]),
            landmarks=landmarks[index],
            cells=cells[index],
            labels=labels[index] if redrawn else None,
            caption=f"frame {track.start_frame + frame}",
        )
        for index, frame in enumerate(frames)
    ]


def save(pictures: list[Image.Image], path: Path, seconds: float) -> None:
    """Writes one picture as PNG, several as a GIF that lasts as long as the video."""
    with atomic_write(path) as temporary:
        if path.suffix == ".png":
            pictures[0].save(temporary)
        else:
            write_gif(temporary, pictures, seconds)


if __name__ == "__main__":
    sys.exit(run_recipe(main, "faces"))
