"""Features of many videos as files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from lightly_marlin.features.extraction_run import (
    Extraction,
    FolderSummary,
    check_segments,
    file_names,
    only_named,
)
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.video_stream import video_source
from lightly_marlin.features.window_model import AnyModel
from lightly_marlin.features.windows import Stretch
from lightly_marlin.jobs.fingerprint import take_fingerprint
from lightly_marlin.preparation import find_videos
from lightly_marlin.utils.dependency import require_extras

__all__ = ["FolderSummary", "extract_folder", "video_sources"]


def video_sources(videos: Path | str) -> list[str]:
    """Returns the sources of videos, as `extract_folder` names them, sorted.

    Args:
        videos: A folder (searched recursively), one file, or a glob pattern.

    Raises:
        UsageError: If there are no videos.
    """
    return [video.source for video in find_videos(videos)]


def extract_folder(
    model: AnyModel,
    videos: Path | str,
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

    With `segments`, a stretch of a video that holds the middle of no window gets a
    window of its own, per track: the frames around its middle, cut to the stretch, the
    last one repeated if there are too few. The index names the stretch in such rows.

    Args:
        model: An encoder or another `WindowModel`, or a whole model for its encoder, on
            any device.
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
        sources: Take only these of the videos, as `video_sources` names them; None for
            all.
        segments: Stretches in seconds by source.

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
    extraction = Extraction(
        model, options, precision, batch_size, file_format, num_workers
    )
    files = {video.source: video for video in find_videos(videos, exclude=out)}
    wanted = only_named(list(files), sources, videos)
    stretches = check_segments(segments, wanted, options)
    settings = {**extraction.settings(), **options.crops()}
    return extraction.run(
        out,
        {
            source: video_source(files[source].path, options, stretches.get(source, ()))
            for source in wanted
        },
        {source: take_fingerprint(files[source].path, settings) for source in wanted},
        file_names(list(files), file_format),
        stretches,
    )
