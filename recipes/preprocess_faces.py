"""Prepares raw videos for training: finds, tracks and crops every face.

    python recipes/preprocess_faces.py VIDEOS STORE

writes a face store: per face track a 224x224 crop video, the facial regions per 8x8
cell, landmarks and boxes, an index (`index.parquet`) and a report (`report.json`).

Features:
- VIDEOS is a folder (searched recursively), one file, or a glob pattern in quotes; a
  manifest (.txt: a path or URL a line; .parquet: column `video`, optionally `source`);
  or a URL such as s3://bucket/folder. Remote videos pass through --scratch.
- Parallel: one worker process per core. A video that crashes its worker is reported and
  the others continue.
- Resumable: kill it at any moment and run the same command again. Finished videos are
  skipped; changed ones, and those with a transient failure, are processed again.
- --shards N divides a new store into N shards, each one file of tracks: for clusters,
  object stores and millions of videos. STORE may then be a URL. The number stays.
- --shard I prepares one shard, so each task of a Slurm array prepares its own; I and N
  default to SLURM_ARRAY_TASK_ID and, for a new store, SLURM_ARRAY_TASK_COUNT. When all
  are done, `merge_store.py STORE` completes the store. recipes/slurm has an example.
- --engine ray distributes the shards over the Ray cluster at --address, or over this
  machine, and merges them. A dead worker costs one video; a dead node costs an attempt
  at its shards, which go on where they stopped if STORE is on a shared disk.
- Memory does not grow with the pixels of a video; the landmarks of an hour take 0.2 GB.
- Cuts end a track; people who cross remain distinct; --all-faces keeps every face.
- --detector hog is dlib's fast detector, cnn its network; auto, the default, runs the
  network only where the fast one finds nothing. --align-eyes rotates the crops. The
  store records these options; --crops-like STORE uses those of an earlier store.
- --detector also takes a detector of yours (docs/detectors.md). The report names the
  licences of all weights; --commercial rejects those that exclude commercial use.
- --jpeg-quality of the crops is 65 by default; deepfake detection looks at detail that
  only 95 keeps. The store records it.
- --audio keeps the sound of every track, mono at 16 kHz and aligned with its first
  frame, for lip synchronisation (`FaceClips(store, audio=True)`). Videos without sound
  are prepared without it, and listed.
- The index has the quality of each track; `inspect_store.py` shows it, and
  `visualize_faces.py` draws the faces.

Exit status: 0 when done, even if some of the videos could not be used (they are listed
with their reasons, here and in `report.json`); 2 for bad arguments, a store that cannot
be written, or when no video gave a single track; 1 if shards failed on the cluster.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lightly_marlin.preparation import (
    PreparationSummary,
    ShardsFailedError,
    prepare_videos,
)
from lightly_marlin.preparation.shard_arguments import (
    add_shard_arguments,
    shards_from_slurm,
)
from lightly_marlin.store import VideoRecord
from lightly_marlin.store.crop_arguments import add_crop_arguments, crop_options
from lightly_marlin.store.crop_video import JPEG_QUALITY
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, one_line, run_recipe
from lightly_marlin.utils.errors import UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepares the videos and reports on them.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the input or the store cannot be used, or no video gave a track.
    """
    options = parse_arguments(arguments)
    shards, shard = shards_from_slurm(options)
    try:
        summary = prepare(options, shards, shard)
    except ShardsFailedError as error:
        failed = ", ".join(map(str, error.reasons))
        console.print(
            f"These shards failed, as told above: {failed}. The others are finished. "
            "Remove the cause and run the same command again.",
            style="red",
            soft_wrap=True,
        )
        return 1
    show_failures(summary, options.audio)
    show_totals(summary, options.audio)
    if shard is not None:
        console.print(
            f"Shard {shard} is finished. When all are, run: python "
            f"recipes/merge_store.py {one_line(options.store)}",
            markup=False,
            soft_wrap=True,
        )
        return 0
    if summary.num_tracks == 0:
        raise UsageError(
            f"None of the {len(summary.records)} videos gave a face track. The reasons "
            f"are listed above and in {options.store}/report.json."
        )
    ready = f"The store is ready: {one_line(options.store)}"
    console.print(ready, markup=False, soft_wrap=True)
    return 0


def prepare(
    options: argparse.Namespace, shards: int | None, shard: int | None
) -> PreparationSummary:
    """Prepares the videos of the command line.

    Args:
        options: The options.
        shards: Number of shards; None for that of the store.
        shard: Number of the only shard to prepare; None for all.
    """
    return prepare_videos(
        options.videos,
        options.store,
        shards=shards,
        shard=shard,
        engine=options.engine,
        address=options.address,
        cpus_per_shard=options.cpus_per_shard,
        retries=options.retries,
        scratch=options.scratch,
        num_workers=options.workers,
        all_faces=options.all_faces,
        commercial=options.commercial,
        jpeg_quality=options.jpeg_quality,
        audio=options.audio,
        **vars(crop_options(options)),
    )


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(
        description="Find, track and crop the faces in videos; write a face store."
    )
    parser.add_argument(
        "videos",
        metavar="VIDEOS",
        help="folder (searched recursively), file, glob pattern in quotes, manifest "
        "(.txt, .parquet), or URL",
    )
    parser.add_argument(
        "store", metavar="STORE", help="folder or URL of the face store"
    )
    parser.add_argument(
        "--workers",
        type=positive_integer,
        metavar="N",
        help="worker processes (default: one per core)",
    )
    parser.add_argument(
        "--all-faces",
        action="store_true",
        help="keep every face track of a video, not only the main one",
    )
    parser.add_argument(
        "--commercial",
        action="store_true",
        help="refuse weights whose licence does not allow commercial use",
    )
    parser.add_argument(
        "--jpeg-quality",
        type=positive_integer,
        default=JPEG_QUALITY,
        metavar="Q",
        help="quality of the stored crops, from 1 to 100; 95 for tasks that need fine "
        f"detail, such as deepfakes (default: {JPEG_QUALITY})",
    )
    parser.add_argument(
        "--audio",
        action="store_true",
        help="keep the sound of the tracks, mono at 16 kHz",
    )
    add_crop_arguments(parser)
    add_shard_arguments(parser)
    return parser.parse_args(arguments)


def show_failures(summary: PreparationSummary, audio: bool) -> None:
    """Lists the videos without a track or sound and those that failed, with reasons."""
    bad = summary.with_status("failed") + summary.with_status("no_face")
    good = summary.with_status("ok")
    bad += [r for r in good if r.retry or (audio and not has_sound(r))]
    summary.show_reasons(bad, "report.json")


def has_sound(record: VideoRecord) -> bool:
    """Returns whether the tracks of a video have sound."""
    return all(row.num_samples for row in record.rows)


def show_totals(summary: PreparationSummary, audio: bool) -> None:
    """Prints the closing table."""
    rate = summary.num_frames / summary.seconds
    more = [
        ("face tracks", f"{summary.num_tracks}"),
        ("frames read", f"{summary.num_frames}"),
        ("frames/s", f"{rate:.1f}"),
    ]
    if audio:
        silent = [r for r in summary.with_status("ok") if not has_sound(r)]
        more.insert(1, ("videos without sound", f"{len(silent)}"))
    console.print(summary.table("Face preparation", more))


if __name__ == "__main__":
    sys.exit(run_recipe(main, "faces"))
