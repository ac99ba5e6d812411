"""Parallel preparation of many videos, where one failure costs one video.

A store without shards is filled by one process and its workers. Shards are prepared one
after the other here, or wherever a cluster has room.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lightly_marlin.preparation.list_videos import Videos, list_videos
from lightly_marlin.preparation.prepare_files import Preparation, PreparationSummary
from lightly_marlin.preparation.prepare_shard import (
    Shard,
    join_summaries,
    prepare_shard,
    shards_of,
)
from lightly_marlin.preparation.prepare_video import PreparationOptions
from lightly_marlin.preparation.ray_engine import prepare_shards_on_ray
from lightly_marlin.preparation.settings import check_pickles, settings_of
from lightly_marlin.preparation.used_weights import check_commercial, used_weights
from lightly_marlin.store.crop_video import JPEG_QUALITY
from lightly_marlin.store.merging import merge_shards
from lightly_marlin.store.sharding import StoreLayout
from lightly_marlin.utils.console import progress
from lightly_marlin.utils.cores import available_cores
from lightly_marlin.utils.dependency import require_extras
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.remote import is_url

if TYPE_CHECKING:
    from lightly_marlin.faces import FaceParser

__all__ = ["ENGINES", "Engine", "PreparationSummary", "prepare_videos"]

Engine = Literal["local", "ray"]
ENGINES: tuple[Engine, ...] = ("local", "ray")


def prepare_videos(
    videos: Videos,
    store: Path | str,
    *,
    shards: int | None = None,
    shard: int | None = None,
    engine: Engine = "local",
    address: str | None = None,
    cpus_per_shard: int = 1,
    retries: int = 3,
    scratch: Path | str | None = None,
    num_workers: int | None = None,
    stall_seconds: float = 600.0,
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
        videos:
            A folder (searched recursively), one file, or a glob pattern; a manifest
            (`read_manifest`); a URL of any of these; or the videos themselves.
        store: The folder or URL of the store; created if missing. At a URL, it always
            has shards.
        shards:
            Number of shards of a new store; each is one file of tracks, prepared on its
            own. None for those that the store has, and for 1 if it is new.
        shard: Prepares this shard alone, from 0; several processes may each prepare
            another one at once. `merge_shards` then completes the store.
        engine: "local", or "ray" to distribute the shards over a Ray cluster.
        address: Address of the Ray cluster, "auto" for the one of this machine; None
            for that of the variable RAY_ADDRESS, or else for one that is begun here.
        cpus_per_shard: Cores, and worker processes, of a shard on the Ray cluster.
        retries: Attempts at a shard after its node or process on the cluster died.
        scratch: Folder on a local disk for remote videos and the shards of a remote
            store while they are prepared; None for the system's temporary folder.
        num_workers:
            Number of worker processes; None for one per available core, 0 to work in
            this process (a crash of a decoder then ends it). For the engine "local";
            that of Ray has `cpus_per_shard`.
        stall_seconds: A video without progress for this long is given up.
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
        MissingExtraError: If the extra `faces`, or for URLs `remote`, or for the engine
            "ray" `ray`, is not installed.
        UsageError:
            If there are no videos, two have the same name, the store cannot be written,
            is of another version or has another number of shards, there is no such
            shard, the detector cannot be loaded, the cluster cannot be reached, or a
            licence excludes what `commercial` asks for.
        ValueError: If an option is out of range, or the parser cannot be pickled.
        ShardsFailedError: If shards failed on the cluster; the others are finished.
    """
    if num_workers is not None and num_workers < 0:
        raise ValueError(f"Invalid num_workers {num_workers}: must be at least 0.")
    _check_engine(engine, shard, address, num_workers)
    _check_limits(cpus_per_shard, retries, stall_seconds)
    if engine == "ray":
        num_workers = cpus_per_shard
    if num_workers is None:
        num_workers = available_cores()
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
        check_pickles(options)
    weights = used_weights(options)
    if commercial:
        check_commercial(weights)
    preparation = Preparation(
        options,
        settings_of(options),
        weights,
        num_workers,
        None if scratch is None else Path(scratch).absolute(),
        stall_seconds,
    )
    files = list_videos(videos, exclude=store)
    layout = _layout(store, shards, shard, engine)
    if layout is None:
        fingerprints = preparation.fingerprints(files)
        with progress() as bar:
            task = bar.add_task("videos", total=len(files), unit="videos")
            return preparation.prepare(
                files, fingerprints, store, lambda count: bar.advance(task, count)
            )
    work = shards_of(layout, files)
    if shard is not None:
        return _prepare_here(preparation, [work[shard]])
    if engine == "ray":
        summary = prepare_shards_on_ray(
            preparation, work, address=address, retries=retries
        )
    else:
        summary = _prepare_here(preparation, work)
    merge_shards(store)
    return summary


def _check_engine(
    engine: str, shard: int | None, address: str | None, num_workers: int | None
) -> None:
    """Raises UsageError for options that an engine does not have."""
    if engine not in ENGINES:
        raise UsageError(
            f"Invalid engine ({engine!r}). Supported values are {', '.join(ENGINES)}."
        )
    if engine == "local" and address is not None:
        raise UsageError(
            f"The address {address} of a cluster needs the engine ray (--engine ray)."
        )
    if engine == "ray" and shard is not None:
        raise UsageError(
            f"The engine ray prepares all shards, not only shard {shard}. Leave out "
            "one of the two."
        )
    if engine == "ray" and num_workers is not None:
        raise UsageError(
            f"The engine ray takes no number of workers ({num_workers}). Name the "
            "cores and workers of a shard (--cpus-per-shard)."
        )


def _check_limits(cpus_per_shard: int, retries: int, stall_seconds: float) -> None:
    """Raises UsageError for numbers that are out of range."""
    if cpus_per_shard < 1:
        raise UsageError(
            f"Invalid cpus_per_shard ({cpus_per_shard}). It must be at least 1."
        )
    if retries < 0:
        raise UsageError(f"Invalid retries ({retries}). It must be at least 0.")
    if not stall_seconds > 0:
        raise UsageError(
            f"Invalid stall_seconds ({stall_seconds}). It must be above 0."
        )


def _layout(
    store: Path | str, shards: int | None, shard: int | None, engine: Engine
) -> StoreLayout | None:
    """Returns the layout of a store with shards; None for one without."""
    layout = StoreLayout.read(store)
    if layout is None or shards is not None:
        if shards is None and engine == "ray":
            raise UsageError(
                f"The store {store} is new: name the number of its shards (--shards), "
                "several for each that the cluster can prepare at once."
            )
        wanted = 1 if shards is None else shards
        needs_shards = is_url(store) or engine == "ray" or shard is not None
        if layout is None and wanted == 1 and not needs_shards:
            return None
        layout = StoreLayout.open(store, wanted)
    if shard is not None:
        layout.check_shard(shard)
    return layout


def _prepare_here(
    preparation: Preparation, shards: Sequence[Shard]
) -> PreparationSummary:
    """Prepares shards one after the other, each by all workers."""
    started = time.monotonic()
    total = sum(len(shard.files) for shard in shards)
    with progress() as bar:
        task = bar.add_task("videos", total=total, unit="videos")
        done = [
            prepare_shard(preparation, shard, lambda count: bar.advance(task, count))
            for shard in shards
        ]
    return join_summaries(done, time.monotonic() - started)
