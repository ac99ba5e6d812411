"""Features of the tracks of a face store as files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.features.extraction_run import (
    Extraction,
    FolderSummary,
    check_segments,
    file_names,
    only_named,
)
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.track_cutter import TrackCutter
from lightly_marlin.features.video_windows import VideoInfo, to_square
from lightly_marlin.features.window_model import AnyModel
from lightly_marlin.features.windows import Stretch, Window
from lightly_marlin.jobs.fingerprint import take_fingerprint
from lightly_marlin.jobs.record import Status
from lightly_marlin.jobs.worker_pool import report_progress
from lightly_marlin.preparation.video_faces import NoFaceError
from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import TrackRow, VideoRecord
from lightly_marlin.store.track import Track
from lightly_marlin.store.track_files import VIDEO, file_place
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import VideoError

__all__ = ["extract_store", "frame_seconds", "store_sources"]

# Crops that are read from a file at once: 10 MB.
_CHUNK = 64

_CROP_NAMES = ("pipeline", *(field.name for field in fields(CropOptions)))


@dataclass(frozen=True)
class _StoredVideo:
    """Tracks of a video in a store, and what became of it.

    Attributes:
        path: The folder of the store.
        source: The video.
        rows: Rows of its tracks.
        status: Outcome of its preparation.
        reason: Why there is no track, or a note.
    """

    path: Path
    source: str
    rows: tuple[TrackRow, ...]
    status: Status = "ok"
    reason: str | None = None


@dataclass(frozen=True)
class _StoreWindows:
    """Windows of the tracks of a video in a store."""

    video: _StoredVideo
    options: ExtractionOptions
    stretches: tuple[Stretch, ...] = ()

    def windows(self, num_frames: int, size: int, info: VideoInfo) -> Iterator[Window]:
        """Yields the windows track by track; see `WindowSource`."""
        video = self.video
        if not video.rows:
            kind = NoFaceError if video.status == "no_face" else VideoError
            raise kind(video.source, video.reason or "the store holds no track of it")
        info.fps, info.seconds = video.rows[0].fps, frame_seconds(video.rows)
        info.num_frames = sum(row.num_frames for row in video.rows)
        info.num_tracks = len(video.rows)
        info.note = video.reason
        info.face_widths = tuple(row.face_width for row in video.rows)
        info.track_ids = tuple(row.track_id for row in video.rows)
        for number, row in enumerate(video.rows):
            cutter = TrackCutter(
                self.options,
                num_frames,
                first_frame=row.start_frame,
                track=number,
                length=row.num_frames,
                stretches=self.stretches,
                seconds=info.seconds,
            )
            try:
                yield from _cut(Track(row, video.path), cutter, size)
            except UsageError as error:
                raise VideoError(video.source, str(error)) from error


def _cut(track: Track, cutter: TrackCutter, size: int) -> Iterator[Window]:
    """Yields the windows of a track; only the crops that they need are decoded."""
    for start in range(0, track.num_frames, _CHUNK):
        stop = min(start + _CHUNK, track.num_frames)
        needed = [row for row in range(start, stop) if cutter.needs(row)]
        crops = iter(track.read_video(needed).transpose(1, 2, 3, 0))
        for row in range(start, stop):
            crop = None
            if cutter.needs(row):
                crop = to_square(np.ascontiguousarray(next(crops)), size)
            yield from cutter.add(crop)
        report_progress()
    yield from cutter.finish()


def frame_seconds(rows: Sequence[TrackRow]) -> npt.NDArray[np.float64]:
    """Returns the times of the frames of a video, as far as its tracks reach.

    Args:
        rows: All tracks of the video, at least one.

    Returns:
        float64 array (n,): numbers of the frames over the mean frame rate.
    """
    end = max(row.start_frame + row.num_frames for row in rows)
    return np.arange(end) / rows[0].fps


def store_sources(store: FaceStore | Path | str) -> list[str]:
    """Returns the sources of a store, also those that gave no track, sorted.

    Args:
        store: A face store or its folder.

    Raises:
        UsageError: If it is no face store.
    """
    store = store if isinstance(store, FaceStore) else FaceStore(store)
    return sorted(_videos(store, store.records()))


def extract_store(
    model: AnyModel,
    store: FaceStore | Path | str,
    out: Path | str,
    *,
    options: ExtractionOptions | None = None,
    precision: str = "32",
    batch_size: int | None = None,
    file_format: str = "npy",
    num_workers: int | None = 0,
    sources: Collection[str] | None = None,
    segments: Mapping[str, Sequence[Stretch]] | None = None,
) -> FolderSummary:
    """Writes the features of the tracks of every video of a face store.

    The files are those of `extract_folder`, from the crops of the store: no face is
    looked for again. All tracks of a video are encoded, under the names that they have
    in the store. Frame numbers are those of the source video, and seconds are frame
    numbers over the frame rate, because a store keeps no times of single frames: for
    videos of a variable rate, they are approximate.

    Videos without a face or that failed to be prepared have the same status here, with
    the store's reason. Killed and run again, it goes on, as `extract_folder` does; a
    video is processed again if the files of its tracks, an option or the weights
    change.

    Args:
        model: An encoder or another `WindowModel`, or a whole model for its encoder, on
            any device.
        store: A face store or its folder.
        out: The folder to write to; created if missing.
        options: Options of windows and features; those of faces and crops are the
            store's and must be left at their defaults.
        precision: "32" or "bf16".
        batch_size: Windows that are encoded together; see `WindowEncoder`.
        file_format: "npy", or "safetensors" for files with one tensor `features`.
        num_workers: Processes that read; None for one per available core, 0 for this
            process.
        sources: Take only these of the store's videos; None for all.
        segments: Stretches in seconds by source; see `extract_folder`.

    Returns:
        The outcome of every video.

    Raises:
        UsageError: A ValueError, if an option is invalid, the store cannot be read, or
            `out` cannot be written.
        RuntimeError: If not a single worker process can start.
    """
    options = options or ExtractionOptions()
    _check_no_crops(options)
    extraction = Extraction(
        model, options, precision, batch_size, file_format, num_workers
    )
    store = store if isinstance(store, FaceStore) else FaceStore(store)
    records = {record.source: record for record in store.records()}
    videos = _videos(store, list(records.values()))
    wanted = only_named(sorted(videos), sources, store.path)
    store.fetch(row for source in wanted for row in videos[source].rows)
    stretches = check_segments(segments, wanted, options)
    settings = extraction.settings()
    return extraction.run(
        out,
        {
            source: _StoreWindows(videos[source], options, stretches.get(source, ()))
            for source in wanted
        },
        {
            source: _state(videos[source], records.get(source), settings)
            for source in wanted
        },
        file_names(sorted(videos), file_format),
        stretches,
    )


def _videos(store: FaceStore, records: list[VideoRecord]) -> dict[str, _StoredVideo]:
    """Returns the videos of a store by source, with the tracks that its index lists."""
    rows: dict[str, list[TrackRow]] = {}
    for row in store.rows():
        rows.setdefault(row.source, []).append(row)
    videos = {
        source: _StoredVideo(store.path, source, tuple(tracks))
        for source, tracks in rows.items()
    }
    for record in records:
        tracks = tuple(rows.get(record.source, record.rows))
        videos[record.source] = _StoredVideo(
            store.path, record.source, tracks, record.status, record.reason
        )
    return videos


def _state(
    video: _StoredVideo, record: VideoRecord | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the state of a video's track files, its crops and the settings."""
    files: list[list[Any]] = []
    for row in video.rows:
        for name in (VIDEO, "frames"):
            path = file_place(row, video.path, name).path
            state = take_fingerprint(path, {})
            relative = path.relative_to(video.path).as_posix()
            files.append([relative, state["size"], state["mtime_ns"]])
    crops = {} if record is None else record.fingerprint
    return {
        **settings,
        **{name: crops.get(name) for name in _CROP_NAMES},
        "crop_face": True,
        "store": True,
        "tracks": files,
        "outcome": [video.status, video.reason],
    }


def _check_no_crops(options: ExtractionOptions) -> None:
    """Raises UsageError if options ask for faces or crops."""
    names = [*_CROP_NAMES[1:], "crop_face", "all_faces"]
    for name in names:
        value = getattr(options, name)
        if value != getattr(ExtractionOptions, name):
            raise UsageError(
                f"Invalid {name} ({value!r}): the crops are those of the store. Leave "
                "it at its default."
            )
