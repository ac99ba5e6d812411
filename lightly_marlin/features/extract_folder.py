"""Features of many videos as files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lightly_marlin.features.batching import WindowEncoder, encoder_of
from lightly_marlin.features.feature_files import FORMATS, FeatureFile
from lightly_marlin.features.feature_ledger import (
    FeatureLedger,
    FeatureRecord,
    FeatureRow,
)
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.reduction import Reduction, Row, make_reduction
from lightly_marlin.features.video_stream import VideoEnd, stream_windows
from lightly_marlin.jobs.fingerprint import take_fingerprint
from lightly_marlin.jobs.summary import JobSummary
from lightly_marlin.jobs.worker_pool import available_cores
from lightly_marlin.preparation import VideoFile, find_videos
from lightly_marlin.store.format import video_id
from lightly_marlin.utils.console import progress
from lightly_marlin.utils.dependency import require_extras
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import why_not_writable

if TYPE_CHECKING:
    from lightly_marlin.models import Marlin, MarlinEncoder

__all__ = ["FolderSummary", "extract_folder"]

FolderSummary = JobSummary[FeatureRecord]
"""Outcome of a call of `extract_folder`."""

# Increased when the same video and options give other windows than before; earlier
# folders are then recomputed. For other crops, see `PIPELINE_VERSION`.
_WINDOWS_VERSION = 2

_Key = tuple[int, int, int, int]  # Video, track, first frame, number of frames.


@dataclass
class _Job:
    """Video whose windows are being encoded."""

    video: VideoFile
    file: FeatureFile
    fingerprint: dict[str, Any]
    num_waiting: int = 0
    end: VideoEnd | None = None
    write_error: str | None = None
    reductions: dict[int, Reduction] = field(default_factory=dict)
    places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """True once all windows have arrived and been encoded."""
        return self.end is not None and self.num_waiting == 0

    def add(self, track: int, row: Row, reduction: str) -> None:
        """Adds the features of a window; none once the file cannot be written."""
        self.num_waiting -= 1
        if self.write_error is not None:
            return
        if track not in self.reductions:
            self.reductions[track] = make_reduction(reduction)
            self.places[track] = []
        self._keep(track, self.reductions[track].add(row))

    def finish(self) -> FeatureRecord:
        """Writes the file; returns the record of the video."""
        assert self.end is not None
        status, reason = self.end.status, self.end.reason
        if self.write_error is not None:
            status, reason = "failed", self.write_error
        failed = status == "failed"
        rows = () if failed else self._close()
        if failed:
            self.file.abandon()
        return FeatureRecord(
            source=self.video.source,
            status=status,
            file=None if failed else self.fingerprint["file"],
            reason=reason,
            num_frames=self.end.info.num_frames,
            rows=rows,
            retry=failed,
            fingerprint=self.fingerprint,
        )

    def _close(self) -> tuple[FeatureRow, ...]:
        """Writes the file; returns its rows."""
        assert self.end is not None
        for track in sorted(self.reductions):
            self._keep(track, self.reductions[track].finish())
        self.file.close()
        places = [(t, *place) for t in sorted(self.places) for place in self.places[t]]
        name, seconds = video_id(self.video.source), self.end.info.seconds
        return tuple(
            FeatureRow(f"{name}_{track:03d}", row, start, float(seconds[start]), count)
            for row, (track, start, count) in enumerate(places)
        )

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

    Every video has a file `OUT/<relative path without suffix>.npy`, float32 (windows,
    D), or (windows, N, D) with `keep_seq`; the tracks one after the other, each in
    temporal order; after a reduction, one row per track. `OUT/index.parquet` has a row
    per row of these files, `OUT/report.json` an entry per video. A video without a face
    has a file with no rows and the status "no_face". (If two videos differ only in
    their suffix, the second keeps it in the name.) A file that cannot be written, for
    example because its name is too long, costs that video only.

    It may be killed at any moment: run again, it processes only videos that are missing
    or affected by a change of the video, an option, the weights or this package's
    reading of videos. Videos that failed are tried again. The index covers the videos
    of the last run.

    A batch of one window, the default on a CPU, gives the same bytes in every run. In
    larger ones, the windows that share a batch depend on which video arrives first, and
    rounding may depend on that.

    Args:
        model: An encoder, or a whole model for its encoder, on any device.
        videos: A folder (searched recursively), one file, or a glob pattern.
        out: The folder to write to; created if missing.
        options: Options of windows and features; the defaults if left out.
        precision: "32" or "bf16".
        batch_size: Windows that are encoded together, from any videos; see
            `WindowEncoder`.
        file_format: "npy", or "safetensors" for files with one tensor `features`.
        num_workers: Processes that read, find faces and crop; None for one per
            available core, 0 to do so in this process (a crash of a decoder then ends
            it).

    Returns:
        The outcome of every video.

    Raises:
        MissingExtraError: If the extra `faces` is not installed.
        UsageError: A ValueError, if an option is invalid, there are no videos, or `out`
            cannot be written.
        RuntimeError: If not a single worker process can start.
    """
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
    settings = {
        **asdict(options),
        **options.crops(),
        "windows": _WINDOWS_VERSION,
        "precision": precision,
        "weights": _digest(encoder_of(model)),
    }
    sources = [file.source for file in files]
    fingerprints = {
        video.source: {**take_fingerprint(video.path, settings), "file": name}
        for video, name in zip(files, _file_names(files, file_format), strict=True)
    }
    shape: tuple[int, ...] = (encoder.config.encoder_dim,)
    if options.keep_seq:
        shape = (encoder.config.num_tokens, *shape)
    with FeatureLedger(out, sources) as ledger, ExitStack() as unfinished:
        todo = set(ledger.unfinished(fingerprints))
        jobs = []
        for video in files:
            if video.source in todo:
                fingerprint = fingerprints[video.source]
                file = FeatureFile(ledger.path / fingerprint["file"], shape)
                file.remove_remains()
                unfinished.callback(file.abandon)
                jobs.append(_Job(video, file, fingerprint))
        _run(jobs, encoder, options, ledger, num_workers, len(files))
        return ledger.summary(sources, len(jobs))


def _run(
    jobs: list[_Job],
    encoder: WindowEncoder[_Key],
    options: ExtractionOptions,
    ledger: FeatureLedger,
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
                with _one_target(jobs[index], ledger):
                    jobs[index].add(track, (start, count, features), options.reduction)
                bar.advance(windows)
                close_if_finished(index)

        def close_if_finished(index: int) -> None:
            job = jobs[index]
            if job.finished:
                record = None
                with _one_target(job, ledger):
                    record = job.finish()
                ledger.add(record or job.finish())
                bar.advance(videos)

        events = stream_windows(
            [job.video.path for job in jobs],
            options,
            num_frames=encoder.config.num_frames,
            size=encoder.config.img_size,
            num_workers=num_workers,
        )
        # Closed even after an error, so that no worker outlives it.
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


@contextmanager
def _one_target(job: _Job, ledger: FeatureLedger) -> Iterator[None]:
    """Lets an error of writing cost one video, unless no file can be written."""
    try:
        yield
    except OSError as error:
        if reason := why_not_writable(ledger.path, error):
            raise ledger.error(reason) from error
        name, reason = job.fingerprint["file"], error.strerror or str(error)
        job.write_error = f"its file {name} cannot be written: {reason}"


def _file_names(files: list[VideoFile], file_format: str) -> list[str]:
    """Returns the name of every video's feature file."""
    names: dict[str, None] = {}  # A set in the order of insertion.
    folders = {str(folder) for file in files for folder in Path(file.source).parents}
    for file in files:
        name = Path(file.source).with_suffix(f".{file_format}").as_posix()
        stem = file.source
        while name in names or name in folders:
            name = f"{stem}.{file_format}"
            stem += "_"
        names[name] = None
    return list(names)


def _digest(encoder: MarlinEncoder) -> str:
    """Returns a fingerprint of weights and sizes."""
    digest = hashlib.blake2b(str(encoder.config).encode(), digest_size=16)
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy())
    return digest.hexdigest()
