"""Parallel preparation of many videos, where one failure costs one video."""

from __future__ import annotations

import dataclasses
import functools
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightly_marlin.jobs.fingerprint import same_file_state, take_fingerprint
from lightly_marlin.jobs.summary import JobSummary
from lightly_marlin.jobs.worker_pool import JobFailure, run_jobs
from lightly_marlin.preparation.prepare_video import PreparationOptions, prepare_video
from lightly_marlin.preparation.used_weights import check_commercial, used_weights
from lightly_marlin.preparation.video_files import VideoFile, find_videos
from lightly_marlin.store.crop_video import JPEG_QUALITY
from lightly_marlin.store.format import VideoRecord
from lightly_marlin.store.writer import StoreWriter
from lightly_marlin.utils.console import progress
from lightly_marlin.utils.cores import available_cores
from lightly_marlin.utils.dependency import require_extras
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import why_not_writable

if TYPE_CHECKING:
    from lightly_marlin.faces import FaceParser

__all__ = ["PreparationSummary", "prepare_videos"]

PreparationSummary = JobSummary[VideoRecord]
"""Outcome of a call of `prepare_videos`."""


@dataclass(frozen=True)
class _StoreFailure:
    """Result of a worker if the store failed rather than the video."""

    reason: str


@dataclass(frozen=True)
class _Job:
    video: VideoFile
    folder: Path


def prepare_videos(
    videos: Path | str,
    store: Path | str,
    *,
    num_workers: int | None = None,
    all_faces: bool = False,
    min_face: int = 40,
    parser: FaceParser | None = None,
    detector: str = "auto",
    align_eyes: bool = False,
    commercial: bool = False,
    jpeg_quality: int = JPEG_QUALITY,
    audio: bool = False,
) -> PreparationSummary:
    """Finds the faces in videos and writes their tracks to a face store.

    Running it again with the same arguments does only what is missing: videos that
    finished (with tracks, without a face, or unusable) and did not change are skipped;
    those that failed for a transient reason (an unreachable file, a crash) are tried
    again. It may be killed at any moment. An unusable video is reported in
    `report.json` and in the summary, and the others continue.

    Args:
        videos: A folder (searched recursively), one file, or a glob pattern.
        store: The folder of the store; created if missing.
        num_workers:
            Number of worker processes; None for one per available core, 0 to work in
            this process (a crash of a decoder then ends it).
        all_faces: Keep every face track of a video instead of only the main one.
        min_face: Approximate side, in source pixels, of the smallest face to look for.
        parser:
            Parser of crops into regions; None derives them from the landmarks. Each
            worker gets a copy; one that cannot be pickled needs `num_workers=0`.
        detector:
            "hog" (fast, frontal faces), "cnn" (also turned and covered ones, a hundred
            times slower), "auto" (the CNN only where HOG finds nothing), a name
            registered with `register_detector`, or an entry "package.module:factory".
        align_eyes: Rotate the crops so that the eyes are level.
        commercial: Reject weights whose licence excludes commercial use.
        jpeg_quality: Quality of the stored crops, from 1 to 100; recorded in the store.
        audio:
            Keep the sound of the tracks, mono at 16 kHz; recorded in the store. A video
            without sound is prepared nevertheless, and its `reason` says so.

    Returns:
        The outcome of every video.

    Raises:
        MissingExtraError: If the extra `faces` is not installed.
        UsageError:
            If there are no videos, the store cannot be written or is of another
            version, the detector cannot be loaded, or a licence excludes what
            `commercial` asks for.
        ValueError: If an option is out of range, or the parser cannot be pickled.
    """
    if num_workers is not None and num_workers < 0:
        raise ValueError(f"Invalid num_workers {num_workers}: must be at least 0.")
    if num_workers is None:
        num_workers = available_cores()
    if num_workers >= 1:
        _check_pickles(parser)
    require_extras("Preparing videos", "faces")
    options = PreparationOptions(
        all_faces,
        parser,
        jpeg_quality,
        audio=audio,
        min_face=min_face,
        detector=detector,
        align_eyes=align_eyes,
    )
    if num_workers >= 1:
        _check_factory_pickles(options)
    weights = used_weights(options)
    if commercial:
        check_commercial(weights)
    settings = _settings(options)
    files = {file.source: file for file in find_videos(videos, exclude=store)}
    fingerprints = {
        name: take_fingerprint(file.path, settings) for name, file in files.items()
    }
    with StoreWriter(store) as writer:
        for name, file in files.items():
            _check_same_video(file, fingerprints[name], writer)
        todo = writer.unfinished(fingerprints)
        with progress() as bar:
            task = bar.add_task("videos", total=len(files), unit="videos")
            bar.advance(task, len(files) - len(todo))
            # Part of the function rather than of the jobs, so a parser is loaded only
            # once.
            run = functools.partial(_run, options)
            jobs = (_Job(files[name], writer.unfinished_folder(name)) for name in todo)
            for job, result in run_jobs(run, jobs, min(num_workers, len(todo))):
                if isinstance(result, _StoreFailure):
                    raise writer.error(result.reason)
                fingerprint = fingerprints[job.video.source]
                writer.add(_record(job, result, fingerprint, weights))
                bar.advance(task)
        return writer.summary(list(files), len(todo))


def _check_pickles(parser: FaceParser | None) -> None:
    """Raises ValueError if a parser cannot be sent to a worker process."""
    try:
        pickle.dumps(parser)
    except Exception as error:
        raise ValueError(
            f"Invalid parser {parser}: it cannot be pickled for worker processes "
            f"({error}). Use num_workers=0 for it."
        ) from error


def _check_factory_pickles(options: PreparationOptions) -> None:
    """Raises ValueError if a detector cannot be sent to a worker process."""
    from lightly_marlin.faces.detection.detector_registry import detector_factory

    factory = detector_factory(options.detector)
    try:
        pickle.dumps(factory)
    except Exception as error:
        raise ValueError(
            f"Invalid detector ({options.detector!r}): its factory {factory} cannot be "
            f"pickled for worker processes ({error}). Register a function or class of "
            "a module, or use num_workers=0."
        ) from error


def _run(options: PreparationOptions, job: _Job) -> VideoRecord | _StoreFailure:
    try:
        return prepare_video(job.video, job.folder, options)
    except Exception as error:
        if reason := why_not_writable(job.folder, error):
            return _StoreFailure(reason)
        raise


def _record(
    job: _Job,
    result: VideoRecord | JobFailure,
    fingerprint: dict[str, Any],
    weights: tuple[dict[str, Any], ...],
) -> VideoRecord:
    """Completes a worker's record, or makes one for a job without a result."""
    if isinstance(result, JobFailure):
        result = VideoRecord(job.video.source, "failed", result.reason, retry=True)
    path = os.path.abspath(job.video.path)
    return dataclasses.replace(
        result,
        path=os.fsencode(path).decode("utf-8", "backslashreplace"),
        fingerprint=fingerprint,
        weights=weights,
    )


def _settings(options: PreparationOptions) -> dict[str, Any]:
    """Returns the settings that, besides the file, determine the result."""
    from lightly_marlin.faces.detection.detector_registry import load_detectors

    settings = {
        **options.crops(),
        "all_faces": options.all_faces,
        "jpeg_quality": options.jpeg_quality,
        "audio": options.audio,
        "parser": None if options.parser is None else _describe(options.parser),
    }
    # Those that are built in have none: they change with the pipeline.
    if fingerprint := load_detectors(options.detector)[0].fingerprint:
        settings["detector_fingerprint"] = fingerprint
    return settings


def _describe(parser: FaceParser) -> str:
    """Returns the parser's class and, where it has one, its fingerprint."""
    kind = type(parser)
    fingerprint = getattr(parser, "fingerprint", "")
    return f"{kind.__module__}.{kind.__qualname__} {fingerprint}".rstrip()


def _check_same_video(
    file: VideoFile, fingerprint: dict[str, Any], writer: StoreWriter
) -> None:
    """Raises UsageError if a store would mix up videos of two folders."""
    record = writer.records.get(file.source)
    if record is None or same_file_state(record.fingerprint, fingerprint):
        return
    earlier = record.path
    # These also return False if a parent folder cannot be read.
    both_exist = os.path.exists(earlier) and os.path.exists(file.path)
    if not both_exist or os.path.samefile(earlier, file.path):
        return
    raise UsageError(
        f"The store {writer.path} already holds a video {file.source}, prepared from "
        f"{earlier}. Prepare {file.path} into a store of its own."
    )
