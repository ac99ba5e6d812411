"""Clips that a run trains on and is validated on, as its settings say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.utils.data import Dataset, Subset

from lightly_marlin.data import FaceClip, FaceClipPairs, FaceClips
from lightly_marlin.store import FaceStore, TrackFilter, split_tracks
from lightly_marlin.store.export import is_litdata
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.utils.console import console
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.remote import is_url

if TYPE_CHECKING:
    from lightly_marlin.data.streamed_clips import StreamedClips

__all__ = ["RunData", "open_data", "validation_clips"]

_MAX_VALIDATION_CLIPS = 16


@dataclass(frozen=True)
class RunData:
    """What a run trains on and is validated on.

    Attributes:
        clips: Clips to train on.
        store: Store of the tracks; None for clips of an export.
        training: Names of the tracks to train on.
        held_out: Names of the tracks to validate on.
    """

    clips: FaceClips | StreamedClips
    store: FaceStore | None = None
    training: Sequence[str] = ()
    held_out: Sequence[str] = ()


def open_data(settings: PretrainSettings, default: Callable[[], FaceStore]) -> RunData:
    """Opens the clips to train on, of a store or of an export that is streamed.

    Args:
        settings: Settings of the run.
        default: Opens the store to train on where the settings name none.

    Raises:
        UsageError: If the store cannot be read, has no track for the settings, or needs
            `--stream`.
    """
    remote = settings.store is not None and is_url(settings.store)
    if remote and not settings.stream:
        raise UsageError(
            f"{settings.store} is remote: --stream fetches it while training, to "
            "--cache. Or copy it to a disk, which is faster where it has room."
        )
    if settings.stream:
        if settings.store is None:
            raise UsageError("--stream needs --store, what is to be streamed.")
        if is_litdata(settings.store):
            return RunData(_streamed_clips(settings))
    if not remote and settings.store is not None and is_litdata(settings.store):
        raise UsageError(f"{settings.store} is a LitData export: add --stream.")
    if settings.store is None:
        store = default()
    else:
        store = FaceStore(settings.store, cache=settings.cache)
    tracks = _select_tracks(store, settings)
    training, held_out = split_tracks(
        store, settings.held_out, seed=settings.seed, tracks=tracks
    )
    clips = _training_clips(store, training, settings)
    return RunData(clips, store, training, held_out)


def _streamed_clips(settings: PretrainSettings) -> StreamedClips:
    """Returns the clips of a LitData export, of which no track can be chosen."""
    # Not before: LitData writes to the user's home when it is imported.
    from lightly_marlin.data.streamed_clips import StreamedClips

    if limits := TrackFilter.from_options(vars(settings)).limits():
        option = next(iter(limits)).replace("_", "-")
        raise UsageError(
            f"--{option} chooses tracks of a store; of an export all are taken. Give "
            "it to export_store.py, or stream the store itself."
        )
    if "contrast" in settings.objective_weights:
        raise UsageError(
            "The objective contrast needs two clips of a track, which a LitData export "
            "does not give. Stream the store itself."
        )
    return StreamedClips(
        settings.store or "",
        stride=settings.stride,
        seed=settings.seed,
        size=settings.image_size,
        cache=settings.cache,
    )


def _select_tracks(store: FaceStore, settings: PretrainSettings) -> list[str]:
    """Returns the tracks that are within the limits; says how many where there are."""
    track_filter = TrackFilter.from_options(vars(settings))
    tracks = track_filter.select(store)
    if track_filter.limits():
        console.print(f"{len(tracks)} of {len(store)} tracks are within the limits.")
    return tracks


def _training_clips(
    store: FaceStore, tracks: Sequence[str], settings: PretrainSettings
) -> FaceClips:
    """Returns a clip of each track, or two where the objectives contrast them."""
    pairs = "contrast" in settings.objective_weights
    return (FaceClipPairs if pairs else FaceClips)(
        store,
        stride=settings.stride,
        tracks=tracks,
        seed=settings.seed,
        size=settings.image_size,
    )


def validation_clips(
    store: FaceStore, tracks: Sequence[str], settings: PretrainSettings
) -> Dataset[FaceClip]:
    """Returns the clips in the middle of up to 16 tracks.

    Args:
        store: The store.
        tracks: Names of the tracks, the first of which are taken.
        settings: Settings of the run.
    """
    clips = FaceClips(
        store,
        stride=settings.stride,
        start="center",
        tracks=tracks,
        size=settings.image_size,
    )
    return Subset(clips, range(min(len(clips), _MAX_VALIDATION_CLIPS)))
