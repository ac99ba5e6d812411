"""Features of many videos, as files."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lightly_marlin.features.batching import WindowEncoder, encoder_of
from lightly_marlin.features.feature_files import FORMATS, FeatureFile
from lightly_marlin.features.journal import FeatureRow, Journal, VideoEntry
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.reduction import Reduction, Row, make_reduction
from lightly_marlin.features.video_stream import VideoEnd, stream_windows
from lightly_marlin.jobs.worker_pool import available_cores
from lightly_marlin.preparation import VideoFile, find_videos
from lightly_marlin.store.format import video_id
from lightly_marlin.utils.console import progress
from lightly_marlin.utils.dependency import require_extras
from lightly_marlin.utils.errors import UsageError

if TYPE_CHECKING:
    from lightly_marlin.models import Marlin, MarlinEncoder

__all__ = ["FolderSummary", "extract_folder"]

# To be raised when the same video and options give other features than before, so that
# folders of the earlier ones are made anew.
_PIPELINE_VERSION = 2

_Key = tuple[int, int, int, int]  # Video, track, first frame, number of frames.


@dataclass(frozen=True)
class FolderSummary:
    """What was done.

    Attributes:
        entries: One per video, sorted by source.
        num_finished_before: Videos that an earlier run had finished.
        seconds: How long this run took.
    """

    entries: tuple[VideoEntry, ...]
    num_finished_before: int
    seconds: float

    @property
    def num_rows(self) -> int:
        """Rows of features of all videos."""
        return sum(len(entry.rows) for entry in self.entries)

    def with_status(self, status: str) -> list[VideoEntry]:
        """Returns the entries with a status: "ok", "no_face" or "failed"."""
        return [entry for entry in self.entries if entry.status == status]


@dataclass
class _Job:
    """A video whose windows are under way."""

    video: VideoFile
    file: FeatureFile
    fingerprint: dict[str, Any]
    num_waiting: int = 0
    end: VideoEnd | None = None
    reductions: dict[int, Reduction] = field(default_factory=dict)
    places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether all windows came and were encoded."""
        return self.end is not None and self.num_waiting == 0

    def add(self, track: int, row: Row, reduction: str) -> None:
        """Takes the features of a window."""
        self.num_waiting -= 1
        if track not in self.reductions:
            self.reductions[track] = make_reduction(reduction)
            self.places[track] = []
        self._keep(track, self.reductions[track].add(row))

    def close(self) -> list[FeatureRow]:
        """Writes the file; returns its rows."""
        assert self.end is not None
        for track in sorted(self.reductions):
            self._keep(track, self.reductions[track].finish())
        self.file.close()
        places = [(t, *place) for t in sorted(self.places) for place in self.places[t]]
        name, seconds = video_id(self.video.source), self.end.info.seconds
        return [
            FeatureRow(f"{name}_{track:03d}", row, start, float(seconds[start]), count)
            for row, (track, start, count) in enumerate(places)
        ]

    def _keep(self, track: int, rows: Iterable[Row]) -> None:
        for start, count, features in rows:
            self.file.add(track, features)
            self.places[track].append((start, count))


def extract_folder(
    model: Marlin | MarlinEncoder,
    videos: Path | str,
    out: Path | str,
    *,
    options: ExtractionOptions | None = None,
    precision: str = "32",
    batch_size: int | None = None,
    file_format: str = "npy",
    num_workers: int | None = 0,
) -> FolderSummary:
    """Writes the features of every video.

    For a video there is `OUT/<relative path without suffix>.npy`, float32 (windows, D),
    or (windows, N, D) with `keep_seq`; the tracks one after the other, each in the
    order of time; after a reduction one row per track. `OUT/index.parquet` has a row
    per row of these files, `OUT/report.json` an entry per video. A video without a face
    has a file of no rows and an entry that says so. (Where two videos differ in their
    suffix only, the second keeps it in the name.)

    May be killed at any moment: run again, it does only what is missing or has changed,
    be it the video, an option, the weights or the way in which this package reads
    videos. Videos that failed are tried again. The index is of the videos of the last
    run.

    A batch of one window, the default on a CPU, gives the same bytes in every run. In
    larger ones, what shares a batch depends on which video comes first, and rounding
    may depend on that.

    Args:
        model: An encoder, or a whole model for its encoder, on any device.
        videos: A folder (searched recursively), one file, or a glob pattern.
        out: The folder to write to; created if missing.
        options: How windows are cut; the defaults of `ExtractionOptions` if left out.
        precision: "32" or "bf16".
        batch_size: As for `WindowEncoder`: windows that are encoded together, of
            whichever videos.
        file_format: "npy", or "safetensors" for files with one tensor `features`.
        num_workers: Processes that read, find faces and crop; None for one per
            available core, 0 to do so in this one (a crash of a decoder then ends it).

    Returns:
        What was done.

    Raises:
        MissingExtraError: If the extra `faces` is not installed.
        UsageError: A ValueError, if an option is invalid, there are no videos, or `out`
            cannot be written.
        RuntimeError: If not a single worker process can start.
    """
    started = time.monotonic()
    require_extras("Extracting features", "faces")
    options = options or ExtractionOptions()
    if file_format not in FORMATS:
        raise UsageError(
            f"Invalid format ({file_format!r}). Supported values are "
            f"{', '.join(FORMATS)}."
        )
    if num_workers is None:
        num_workers = available_cores()
    if num_workers < 0:
        raise UsageError(f"Invalid num_workers ({num_workers}). It must be 0 or more.")
    encoder: WindowEncoder[_Key] = WindowEncoder(
        model, precision=precision, keep_seq=options.keep_seq, batch_size=batch_size
    )
    files = find_videos(videos, exclude=out)
    journal = Journal(Path(out))
    settings = {
        "pipeline": _PIPELINE_VERSION,
        **asdict(options),
        "precision": precision,
        "weights": _digest(encoder_of(model)),
    }
    jobs = _unfinished(files, Path(out), journal, settings, encoder, file_format)
    for job in jobs:
        job.file.remove_remains()
    try:
        _run(jobs, encoder, options, journal, num_workers, len(files))
    finally:
        for job in jobs:
            job.file.abandon()
        journal.write_index(file.source for file in files)
        journal.close()
    return FolderSummary(
        entries=tuple(journal.entries[file.source] for file in files),
        num_finished_before=len(files) - len(jobs),
        seconds=time.monotonic() - started,
    )


def _run(
    jobs: list[_Job],
    encoder: WindowEncoder[_Key],
    options: ExtractionOptions,
    journal: Journal,
    num_workers: int,
    num_videos: int,
) -> None:
    """Streams the windows of all jobs through the encoder."""
    with progress() as bar:
        videos = bar.add_task("videos", total=num_videos, unit="videos")
        windows = bar.add_task("windows", total=None, unit="windows")
        bar.advance(videos, num_videos - len(jobs))

        def deliver(encoded: Iterable[tuple[_Key, Tensor]]) -> None:
            for (index, track, start, count), features in encoded:
                jobs[index].add(track, (start, count, features), options.reduction)
                bar.advance(windows)
                close_if_finished(index)

        def close_if_finished(index: int) -> None:
            if jobs[index].finished:
                journal.add(_finish(jobs[index], journal))
                bar.advance(videos)

        events = stream_windows(
            [job.video.path for job in jobs],
            options,
            num_frames=encoder.config.num_frames,
            size=encoder.config.img_size,
            num_workers=num_workers,
        )
        # Closed also after an error, so that no worker outlives it.
        with closing(events):
            for index, event in events:
                if isinstance(event, VideoEnd):
                    jobs[index].end = event
                    close_if_finished(index)
                else:
                    jobs[index].num_waiting += 1
                    key = (index, event.track, event.start_frame, event.num_frames)
                    deliver(encoder.add(key, event.clip))
        deliver(encoder.flush())


def _finish(job: _Job, journal: Journal) -> VideoEntry:
    """Writes the file of a job and returns its entry."""
    assert job.end is not None
    out = journal.folder
    earlier = journal.entries.get(job.video.source)
    file, rows = job.fingerprint["file"], []
    if job.end.status == "failed":
        job.file.abandon()
        file = None
    else:
        rows = job.close()
    if earlier is not None and earlier.file is not None and earlier.file != file:
        others = {e.file for s, e in journal.entries.items() if s != job.video.source}
        if earlier.file not in others:
            (out / earlier.file).unlink(missing_ok=True)
    return VideoEntry(
        source=job.video.source,
        status=job.end.status,
        file=file,
        reason=job.end.reason,
        num_frames=job.end.info.num_frames,
        rows=tuple(rows),
        fingerprint=job.fingerprint,
    )


def _unfinished(
    files: list[VideoFile],
    out: Path,
    journal: Journal,
    settings: dict[str, Any],
    encoder: WindowEncoder[_Key],
    file_format: str,
) -> list[_Job]:
    """Returns the videos that are to be encoded."""
    config = encoder.config
    shape: tuple[int, ...] = (config.encoder_dim,)
    if settings["keep_seq"]:
        shape = (config.num_tokens, *shape)
    jobs = []
    for video, name in zip(files, _file_names(files, file_format), strict=True):
        fingerprint = {**_file_state(video.path), **settings, "file": name}
        earlier = journal.entries.get(video.source)
        if (
            earlier is None
            or earlier.status == "failed"
            or earlier.fingerprint != fingerprint
            or not (out / name).is_file()
        ):
            jobs.append(_Job(video, FeatureFile(out / name, shape), fingerprint))
    return jobs


def _file_names(files: list[VideoFile], file_format: str) -> list[str]:
    """Returns the name of every video's file of features."""
    names: dict[str, None] = {}  # A set in the order of insertion.
    for file in files:
        name = Path(file.source).with_suffix(f".{file_format}").as_posix()
        stem = file.source
        while name in names:
            name = f"{stem}.{file_format}"
            stem += "_"
        names[name] = None
    return list(names)


def _file_state(path: Path) -> dict[str, Any]:
    try:
        status = os.stat(path)
    except OSError:
        # Opening it will fail and give the reason.
        return {"size": None, "mtime_ns": None}
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _digest(encoder: MarlinEncoder) -> str:
    """Returns a fingerprint of weights and sizes."""
    digest = hashlib.blake2b(str(encoder.config).encode(), digest_size=16)
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy())
    return digest.hexdigest()
