"""Preparation of given videos into a store of loose files, by a pool of workers.

The core that all ways of preparing share: a whole store is one call, a shard is one
call, and so is a task of a cluster.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightly_marlin.jobs.fingerprint import take_fingerprint
from lightly_marlin.jobs.summary import JobSummary
from lightly_marlin.jobs.worker_pool import JobFailure, run_jobs
from lightly_marlin.preparation.prepare_video import PreparationOptions, prepare_video
from lightly_marlin.preparation.remote_videos import (
    FetchError,
    fetch_video,
    remote_state,
)
from lightly_marlin.preparation.same_video import check_same_video
from lightly_marlin.preparation.scratch import (
    fetch_folder,
    scratch_error,
    scratch_folder,
)
from lightly_marlin.preparation.video_file import VideoFile
from lightly_marlin.store.format import VideoRecord
from lightly_marlin.store.writer import StoreWriter
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import why_not_writable

__all__ = [
    "Preparation",
    "PreparationSummary",
]

PreparationSummary = JobSummary[VideoRecord]
"""Outcome of a call of `prepare_videos`."""

Fingerprints = Mapping[str, dict[str, Any]]

_NUM_REQUESTS = 16
_MAX_SUFFIX = 16


@dataclass(frozen=True)
class _StoreFailure:
    """Result of a worker if a disk failed rather than the video."""

    reason: str
    scratch: Path | None = None


@dataclass(frozen=True)
class _Job:
    """A video, the folder of its tracks, and the one that it is fetched to."""

    video: VideoFile
    folder: Path
    fetched: Path | None


@dataclass(frozen=True)
class Preparation:
    """Preparation with its options, which can be sent to other machines.

    Attributes:
        options: Options of search, crops and content.
        settings: What determines the result besides the file, as JSON values.
        weights: Weight files in use, as in `VideoRecord`.
        num_workers: Number of worker processes; 0 to work in this process.
        scratch: Folder on a local disk for what is temporary; None for the system's.
        stall_seconds: A worker without progress for this long is given up.
    """

    options: PreparationOptions
    settings: dict[str, Any]
    weights: tuple[dict[str, Any], ...]
    num_workers: int
    scratch: Path | None
    stall_seconds: float

    def fingerprints(self, files: Mapping[str, VideoFile]) -> Fingerprints:
        """Returns the fingerprint of each video, by source.

        Args:
            files: The videos by source.
        """
        remote = [name for name, file in files.items() if file.url is not None]
        with ThreadPoolExecutor(_NUM_REQUESTS) as pool:
            # Many requests at once, for each waits for its answer.
            states = pool.map(lambda name: self._remote(files[name]), remote)
            found = dict(zip(remote, states, strict=True))
        return {
            name: found.get(name) or take_fingerprint(file.path, self.settings)
            for name, file in files.items()
        }

    def _remote(self, file: VideoFile) -> dict[str, Any]:
        assert file.url is not None
        state = file.state or remote_state(file.url)
        return {"size": state.size, "etag": state.etag, **self.settings}

    def prepare(
        self,
        files: Mapping[str, VideoFile],
        fingerprints: Fingerprints,
        store: Path | str,
        on_video: Callable[[int], None],
    ) -> PreparationSummary:
        """Prepares what is missing of some videos into a store of loose files.

        Args:
            files: The videos by source.
            fingerprints: Fingerprint of each.
            store: The folder of the store; created if missing.
            on_video: Called with the number of videos that have finished since.

        Returns:
            The outcome of the videos.

        Raises:
            UsageError: If a disk cannot be written, or the store holds another video
                of the same name.
        """
        with StoreWriter(store) as writer:
            for name, file in files.items():
                check_same_video(
                    file, fingerprints[name], writer.records.get(name), writer.path
                )
            todo = writer.unfinished(fingerprints)
            on_video(len(files) - len(todo))
            remote = any(files[name].url is not None for name in todo)
            # Part of the function rather than of the jobs, so a parser is loaded only
            # once.
            run = functools.partial(_run, self.options)
            place = scratch_folder(self.scratch, writer.path) if remote else None
            with fetch_folder(place) as fetched:
                jobs = (
                    _Job(files[name], writer.unfinished_folder(name), fetched)
                    for name in todo
                )
                for job, result in run_jobs(
                    run,
                    jobs,
                    min(self.num_workers, len(todo)),
                    stall_seconds=self.stall_seconds,
                ):
                    if fetched is not None:
                        # Of a worker that died.
                        shutil.rmtree(_fetched_file(job).parent, ignore_errors=True)
                    if isinstance(result, _StoreFailure):
                        raise _disk_error(result, writer)
                    writer.add(self._record(job, result, fingerprints))
                    on_video(1)
            return writer.summary(list(files), len(todo))

    def _record(
        self, job: _Job, result: VideoRecord | JobFailure, fingerprints: Fingerprints
    ) -> VideoRecord:
        """Completes a worker's record, or makes one for a job without a result."""
        video = job.video
        if isinstance(result, JobFailure):
            result = VideoRecord(video.source, "failed", result.reason, retry=True)
        path = os.path.abspath(video.path) if video.url is None else video.url
        return dataclasses.replace(
            result,
            path=os.fsencode(path).decode("utf-8", "backslashreplace"),
            fingerprint=fingerprints[video.source],
            weights=self.weights,
        )


def _run(options: PreparationOptions, job: _Job) -> VideoRecord | _StoreFailure:
    """Prepares a video; runs in a worker."""
    video = job.video
    if video.url is None:
        return _prepare(video, job.folder, options)
    assert job.fetched is not None
    file = _fetched_file(job)
    try:
        file.parent.mkdir()
        fetch_video(video.url, file)
        return _prepare(dataclasses.replace(video, path=file), job.folder, options)
    except FetchError as error:
        return VideoRecord(video.source, "failed", str(error), retry=True)
    except OSError as error:
        if reason := why_not_writable(job.fetched, error):
            return _StoreFailure(reason, job.fetched)
        raise
    finally:
        shutil.rmtree(file.parent, ignore_errors=True)


def _prepare(
    video: VideoFile, folder: Path, options: PreparationOptions
) -> VideoRecord | _StoreFailure:
    try:
        return prepare_video(video, folder, options)
    except Exception as error:
        if reason := why_not_writable(folder, error):
            return _StoreFailure(reason)
        raise


def _fetched_file(job: _Job) -> Path:
    """Returns where a remote video is fetched to, in a folder of its own."""
    assert job.fetched is not None
    suffix = job.video.path.suffix
    return job.fetched / job.folder.name.lstrip(".") / f"video{suffix[:_MAX_SUFFIX]}"


def _disk_error(failure: _StoreFailure, writer: StoreWriter) -> UsageError:
    if failure.scratch is not None:
        return scratch_error(failure.scratch, failure.reason)
    return writer.error(failure.reason)
