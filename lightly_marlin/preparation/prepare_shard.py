"""Preparation of one shard: unpacked if need be, completed, packed and committed.

A shard belongs to one process at a time. What a killed one leaves is taken up by the
next, on the same disk; a committed shard stays as it is until its successor is whole.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lightly_marlin.jobs.ledger import unfinished
from lightly_marlin.preparation.prepare_files import (
    Preparation,
    PreparationSummary,
)
from lightly_marlin.preparation.same_video import check_same_video
from lightly_marlin.preparation.scratch import scratch_error, scratch_folder
from lightly_marlin.preparation.video_file import VideoFile
from lightly_marlin.store.shard_commit import (
    WORK_PREFIX,
    commit_shard,
    unpack_shard,
)
from lightly_marlin.store.shard_reading import (
    check_tar,
    read_shard,
    read_shard_records,
)
from lightly_marlin.store.sharding import StoreLayout, shard_of, shard_work
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "UNFINISHED_NAME",
    "Shard",
    "join_summaries",
    "prepare_shard",
    "shards_of",
]

UNFINISHED_NAME = ".unfinished"
"""Folder of a shard in which it is prepared as a store of loose files."""


@dataclass(frozen=True)
class Shard:
    """Shard of a store, with its share of the videos.

    Attributes:
        layout: The store.
        number: Number of the shard, from 0.
        files: The videos by source; there may be none.
    """

    layout: StoreLayout
    number: int
    files: Mapping[str, VideoFile]


def shards_of(layout: StoreLayout, files: Mapping[str, VideoFile]) -> list[Shard]:
    """Returns all shards of a store, with the videos of each.

    Args:
        layout: The store.
        files: All videos by source.
    """
    shares: list[dict[str, VideoFile]] = [{} for _ in range(layout.num_shards)]
    for name, file in files.items():
        shares[shard_of(name, layout.num_shards)][name] = file
    return [Shard(layout, number, share) for number, share in enumerate(shares)]


def prepare_shard(
    preparation: Preparation,
    shard: Shard,
    on_video: Callable[[int], None],
    *,
    lock_seconds: float = 0.0,
) -> PreparationSummary:
    """Prepares what is missing of a shard, and commits it.

    Args:
        preparation: The preparation with its options.
        shard: The shard with its videos. Others that it has stay.
        on_video: Called with the number of videos that have finished since.
        lock_seconds: How long to wait for another process that works on the shard.

    Returns:
        The outcome of the shard's videos.

    Raises:
        UsageError: If another process works on the shard, it is damaged, or a disk
            cannot be written.
    """
    home = _home(preparation, shard)
    try:
        with shard_work(home, lock_seconds):
            return _prepare_locked(preparation, shard, home, on_video)
    except OSError as error:
        raise _home_error(shard, home, error) from error


def join_summaries(
    summaries: Iterable[PreparationSummary], seconds: float
) -> PreparationSummary:
    """Returns the summary of several shards.

    Args:
        summaries: Summary of each.
        seconds: Duration of all.
    """
    summaries = list(summaries)
    records = (record for summary in summaries for record in summary.records)
    return PreparationSummary(
        records=tuple(sorted(records, key=lambda record: record.source)),
        num_finished_before=sum(one.num_finished_before for one in summaries),
        num_frames=sum(one.num_frames for one in summaries),
        seconds=seconds,
    )


def _prepare_locked(
    preparation: Preparation,
    shard: Shard,
    home: Path,
    on_video: Callable[[int], None],
) -> PreparationSummary:
    started = time.monotonic()
    folder = home / UNFINISHED_NAME
    for leftover in home.glob(f"{WORK_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fingerprints = preparation.fingerprints(shard.files)
    records = read_shard_records(shard.layout, shard.number)
    if records is not None:
        # Or the shard would pass for finished without its tar.
        index = read_shard(shard.layout, shard.number)
        check_tar(shard.layout, shard.number, index)
    if records is not None and not unfinished(records, fingerprints):
        # Of a run that was killed after the commit.
        shutil.rmtree(folder, ignore_errors=True)
        on_video(len(shard.files))
        return PreparationSummary(
            records=tuple(records[name] for name in shard.files),
            num_finished_before=len(shard.files),
            num_frames=0,
            seconds=time.monotonic() - started,
        )
    if records is not None:
        for name, file in shard.files.items():
            check_same_video(
                file, fingerprints[name], records.get(name), shard.layout.path
            )
        unpack_shard(shard.layout, shard.number, folder)
    summary = preparation.prepare(shard.files, fingerprints, folder, on_video)
    commit_shard(shard.layout, shard.number, folder)
    shutil.rmtree(folder, ignore_errors=True)
    # As they are in the shard, with the places of the tracks in it.
    records = read_shard_records(shard.layout, shard.number) or {}
    packed = tuple(records.get(one.source, one) for one in summary.records)
    return replace(summary, records=packed)


def _home(preparation: Preparation, shard: Shard) -> Path:
    """Returns the folder that has the shard's lock and its unfinished state."""
    if shard.layout.is_remote:
        scratch = scratch_folder(preparation.scratch, shard.layout.path)
        return scratch / f"{shard.number:05d}"
    return shard.layout.shard_folder(shard.number)


def _home_error(shard: Shard, home: Path, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    if shard.layout.is_remote:
        return scratch_error(home, reason)
    return UsageError(
        f"The shard {home} cannot be written: {reason}. Choose a store on a disk with "
        "free space that you may write to; the same command then goes on where it "
        "stopped."
    )
