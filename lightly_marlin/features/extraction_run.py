"""Run of an extraction: windows of many sources through an encoder into files.

Videos and face stores differ in where their windows come from; ledger, files, encoder
and workers are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lightly_marlin.features.batching import WindowEncoder
from lightly_marlin.features.feature_files import FORMATS, FeatureFile
from lightly_marlin.features.feature_job import FeatureJob
from lightly_marlin.features.feature_ledger import FeatureLedger, FeatureRecord
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.stretches import read_segments
from lightly_marlin.features.video_stream import (
    VideoEnd,
    WindowSource,
    stream_sources,
)
from lightly_marlin.features.window_model import AnyModel, weights_digest
from lightly_marlin.features.windows import Stretch, WindowPlace
from lightly_marlin.jobs.summary import JobSummary
from lightly_marlin.utils.console import progress
from lightly_marlin.utils.cores import available_cores
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import why_not_writable

__all__ = [
    "Extraction",
    "FolderSummary",
    "check_segments",
    "file_names",
    "only_named",
]

FolderSummary = JobSummary[FeatureRecord]
"""Outcome of a call of `extract_folder` or `extract_store`."""

# Increased when the same video and options give other windows than before; earlier
# folders are then recomputed. For other crops, see `PIPELINE_VERSION`.
_WINDOWS_VERSION = 2

_Key = tuple[int, WindowPlace]


@dataclass(frozen=True)
class Extraction:
    """Settings of an extraction, checked, and its run.

    Attributes:
        model: An encoder or another `WindowModel`, or a whole model for its encoder.
        options: Options of windows and features.
        precision: "32" or "bf16".
        batch_size: Windows that are encoded together; see `WindowEncoder`.
        file_format: "npy" or "safetensors".
        num_workers: Processes that read; None for one per available core, 0 for this
            process.
    """

    model: AnyModel
    options: ExtractionOptions
    precision: str = "32"
    batch_size: int | None = None
    file_format: str = "npy"
    num_workers: int | None = 0

    def __post_init__(self) -> None:
        """Checks the settings of files and workers; the encoder checks its own.

        Raises:
            UsageError: If a setting is invalid.
        """
        if self.file_format not in FORMATS:
            raise UsageError(
                f"Invalid format ({self.file_format!r}). Supported values are "
                f"{', '.join(FORMATS)}."
            )
        if self.num_workers is not None and self.num_workers < 0:
            raise UsageError(
                f"Invalid num_workers ({self.num_workers}). It must be 0 or more."
            )

    def settings(self) -> dict[str, Any]:
        """Returns what determines the features, besides the videos and their crops."""
        return {
            **asdict(self.options),
            "windows": _WINDOWS_VERSION,
            "precision": self.precision,
            "weights": weights_digest(self.model),
        }

    def run(
        self,
        out: Path | str,
        windows_of: Mapping[str, WindowSource],
        states: Mapping[str, Mapping[str, Any]],
        names: Mapping[str, str],
        segments: Mapping[str, Sequence[Stretch]],
    ) -> FolderSummary:
        """Encodes what is not finished.

        Args:
            out: The folder of the features; created if missing.
            windows_of: Reader of the windows of each source, in the order of the work.
            states: Fingerprint of each source: its state, and all settings.
            names: Name of each source's file; see `file_names`.
            segments: Stretches of sources; part of their fingerprint.

        Returns:
            The outcome of every source.
        """
        options = self.options
        encoder: WindowEncoder[_Key] = WindowEncoder(
            self.model,
            precision=self.precision,
            keep_seq=options.keep_seq,
            pool_tokens=options.pool_tokens,
            batch_size=self.batch_size,
        )
        sources = list(windows_of)
        fingerprints = {}
        for source in sources:
            fingerprints[source] = {**states[source], "file": names[source]}
            if source in segments:
                stretches = [list(stretch) for stretch in segments[source]]
                fingerprints[source]["segments"] = stretches
        with FeatureLedger(out, sources) as ledger, ExitStack() as unfinished:
            jobs = []
            for source in ledger.unfinished(fingerprints):
                fingerprint = fingerprints[source]
                path = ledger.path / fingerprint["file"]
                feature_file = FeatureFile(path, encoder.shape, options.dtype)
                feature_file.remove_remains()
                unfinished.callback(feature_file.abandon)
                jobs.append(
                    FeatureJob(source, feature_file, fingerprint, options.reduction)
                )
            readers = [windows_of[job.source] for job in jobs]
            self._encode(jobs, readers, encoder, ledger, len(sources))
            return ledger.summary(sources, len(jobs))

    def _encode(
        self,
        jobs: list[FeatureJob],
        readers: list[WindowSource],
        encoder: WindowEncoder[_Key],
        ledger: FeatureLedger,
        num_videos: int,
    ) -> None:
        """Streams the windows of all jobs through the encoder."""
        with progress() as bar:
            videos = bar.add_task("videos", total=num_videos, unit="videos")
            windows = bar.add_task("windows", total=None, unit="windows")
            bar.advance(videos, num_videos - len(jobs))

            def deliver(encoded: Iterable[tuple[_Key, Tensor]]) -> None:
                for (index, place), features in encoded:
                    with _one_target(jobs[index], ledger):
                        jobs[index].add((place, features))
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

            workers = self.num_workers
            events = stream_sources(
                readers,
                num_frames=encoder.config.num_frames,
                size=encoder.config.img_size,
                num_workers=available_cores() if workers is None else workers,
            )
            # Closed even after an error, so that no worker outlives it.
            with closing(events):
                for index, event in events:
                    if isinstance(event, VideoEnd):
                        jobs[index].end = event
                        close_if_finished(index)
                    else:
                        jobs[index].num_waiting += 1
                        deliver(encoder.add((index, event.place), event.clip))
            deliver(encoder.flush())


@contextmanager
def _one_target(job: FeatureJob, ledger: FeatureLedger) -> Iterator[None]:
    """Lets an error of writing cost one video, unless no file can be written."""
    try:
        yield
    except OSError as error:
        if reason := why_not_writable(ledger.path, error):
            raise ledger.error(reason) from error
        name, reason = job.fingerprint["file"], error.strerror or str(error)
        job.write_error = f"its file {name} cannot be written: {reason}"


def only_named(
    sources: Sequence[str], wanted: Collection[str] | None, where: Path | str
) -> list[str]:
    """Returns the sources to take, in their order.

    Args:
        sources: The sources that there are.
        wanted: Those to take; None for all.
        where: Where they are, for the message.

    Raises:
        UsageError: If one that is wanted does not exist, or none is wanted.
    """
    if wanted is None:
        return list(sources)
    if unknown := sorted(set(wanted).difference(sources)):
        raise UsageError(f"Invalid sources: there is no {unknown[0]!r} in {where}.")
    if not wanted:
        raise UsageError("Invalid sources: there are none.")
    chosen = set(wanted)
    return [source for source in sources if source in chosen]


def file_names(sources: Sequence[str], file_format: str) -> dict[str, str]:
    """Returns the name of each source's feature file, all of them different.

    Args:
        sources: All sources that there are, so that the names of some do not depend on
            which others are taken.
        file_format: "npy" or "safetensors".
    """
    names: dict[str, str] = {}
    folders = {str(folder) for source in sources for folder in Path(source).parents}
    taken: set[str] = set()
    for source in sources:
        name = Path(source).with_suffix(f".{file_format}").as_posix()
        stem = source
        while name in taken or name in folders:
            name = f"{stem}.{file_format}"
            stem += "_"
        names[source] = name
        taken.add(name)
    return names


def check_segments(
    segments: Mapping[str, Sequence[Stretch]] | None,
    sources: Sequence[str],
    options: ExtractionOptions,
) -> dict[str, tuple[Stretch, ...]]:
    """Returns the stretches by source in one form; see `read_segments`.

    Raises:
        UsageError: If they are invalid, or a reduction would mix them.
    """
    if segments and options.reduction != "none":
        raise UsageError(
            f"Invalid reduction ({options.reduction!r}): with segments, every window "
            "has a row of its own."
        )
    return read_segments(segments, sources)
