"""Talking faces to train on: where they come from, and which are held out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lightly_marlin.lip_sync.pairs.sync_data import sound_tracks
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore, split_tracks
from lightly_marlin.utils.console import console, one_line
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "TALKING_DEMO",
    "TalkingSplit",
    "prepare_talking",
    "print_left_out",
    "split_talking",
    "usable_tracks",
]

TALKING_DEMO: dict[str, Any] = {
    "demo_clips": 24,
    "demo_frames": 64,
    "demo_audio": True,
}
"""Arguments of `lightly_marlin.demo.open_store` for demo clips to train on."""

_HELD_OUT, _HELD_OUT_OF_DEMO = 0.1, 0.2
_MAX_NAMED = 5

# The parts of LRS2; "pretrain" and its list are not used, as in Wav2Lip.
_LRS2_VIDEOS, _LRS2_TRAINING, _LRS2_HELD_OUT = "main", "train.txt", "val.txt"


@dataclass(frozen=True)
class TalkingSplit:
    """Names of tracks.

    Attributes:
        training: Tracks to train on.
        held_out: Tracks to validate on; of other videos.
    """

    training: list[str]
    held_out: list[str]


def prepare_talking(data: Path | str, store: Path) -> FaceStore:
    """Makes a store of a folder of videos, with sound, or finishes it.

    Args:
        data: The folder; of LRS2, the one that holds `main/`, of which alone videos are
            taken.
        store: Where the store is kept. What is there is not done again.

    Returns:
        The store.

    Raises:
        UsageError: If there are no videos, or the store cannot be made.
    """
    main = Path(data) / _LRS2_VIDEOS
    prepare_videos(main if main.is_dir() else Path(data), store, audio=True)
    return FaceStore(store)


def split_talking(
    store: FaceStore,
    tracks: Collection[str],
    *,
    data: Path | str | None = None,
    demo: bool = False,
    seed: int = 0,
) -> TalkingSplit:
    """Divides tracks by video into those to train on and those held out.

    Args:
        store: The store.
        tracks: Names of the tracks that can be used.
        data: The folder that the store was made of. If it holds the lists of LRS2,
            `train.txt` and `val.txt`, they decide, and all other tracks are left out.
        demo: Whether these are demo clips, of which more are held out.
        seed: Seed of the division, where no lists decide.

    Returns:
        The names.

    Raises:
        UsageError: If a list cannot be read, or names none of the tracks.
    """
    lists = None if data is None else _read_lists(Path(data))
    if lists is None:
        share = _HELD_OUT_OF_DEMO if demo else _HELD_OUT
        return TalkingSplit(*split_tracks(store, share, seed=seed, tracks=tracks))
    sources = zip(store.column("track_id"), store.column("source"), strict=True)
    usable = {name: _stem(source) for name, source in sources if name in set(tracks)}
    parts = []
    for path, stems in lists.items():
        parts.append([name for name, stem in usable.items() if stem in stems])
        if not parts[-1]:
            raise UsageError(
                f"{path} names none of the {len(usable)} tracks that can be used. Its "
                f"lines must be paths below {_LRS2_VIDEOS}/ without suffix."
            )
    return TalkingSplit(*parts)


def usable_tracks(store: FaceStore, num_frames: int) -> list[str]:
    """Selects the tracks that windows can be drawn from, and prints why not others.

    Args:
        store: A face store.
        num_frames: Frames of a window.

    Returns:
        Names of the tracks, in the order of the store.

    Raises:
        UsageError: If there are none.
    """
    usable, reasons = sound_tracks(store, num_frames)
    print_left_out(reasons)
    if not usable:
        name, reason = next(iter(reasons.items()), ("", ""))
        where = f", such as {one_line(name)}: {reason}" if name else ""
        raise UsageError(
            f"The store {store.path} has no track to train on{where}. Prepare videos "
            "with sound: python recipes/preprocess_faces.py VIDEOS STORE --audio"
        )
    return usable


def print_left_out(reasons: Mapping[str, str]) -> None:
    """Names tracks that are not used, and why; of many, the first ones.

    Args:
        reasons: Reasons by names of tracks.
    """
    for name, reason in list(reasons.items())[:_MAX_NAMED]:
        text = f"left out: {one_line(name)}: {reason}"
        console.print(text, markup=False, soft_wrap=True)
    if len(reasons) > _MAX_NAMED:
        console.print(f"left out: {len(reasons) - _MAX_NAMED} more tracks")


def _read_lists(data: Path) -> dict[Path, set[str]] | None:
    """Returns the stems that each list names, of training and of what is held out."""
    paths = [data / _LRS2_TRAINING, data / _LRS2_HELD_OUT]
    if not all(path.is_file() for path in paths):
        return None
    lists = {}
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The list {path} cannot be read: {error}.") from error
        # LRS2 has further words after some of the names.
        lists[path] = {line.split()[0] for line in lines if line.strip()}
    return lists


def _stem(source: str) -> str:
    return str(PurePosixPath(source).with_suffix(""))
