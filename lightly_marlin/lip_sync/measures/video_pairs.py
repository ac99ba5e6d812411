"""Pairs of generated videos and the real ones that they were made from."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lightly_marlin.preparation.video_files import find_videos
from lightly_marlin.utils.errors import UsageError

__all__ = ["VideoPair", "VideoPairs", "pair_videos"]


class VideoPair(NamedTuple):
    """A generated video and its real one.

    Attributes:
        name: POSIX path of both below their folders, without suffix.
        real: File of the real video.
        generated: File of the generated video.
    """

    name: str
    real: Path
    generated: Path


class VideoPairs(NamedTuple):
    """Pairs of two folders, and the videos that have no partner.

    Attributes:
        pairs: At least one pair, sorted by name.
        only_real: Names of real videos without a generated one.
        only_generated: Names of generated videos without a real one.
    """

    pairs: list[VideoPair]
    only_real: list[str]
    only_generated: list[str]


def pair_videos(real: Path | str, generated: Path | str) -> VideoPairs:
    """Pairs the videos of two folders by their paths, whatever their suffixes.

    Args:
        real: Folder of the real videos, searched recursively.
        generated: Folder of the generated videos.

    Returns:
        The pairs, `a/b.mp4` with `a/b.avi`, and what is left.

    Raises:
        UsageError: If a folder cannot be searched or holds no video, two of its videos
            have one name, or the folders have no name in common.
    """
    files = _by_name(real), _by_name(generated)
    names = sorted(files[0].keys() & files[1].keys())
    if not names:
        raise UsageError(
            f"No video of {generated} has a real one in {real}: generated "
            f"{next(iter(files[1]))}, real {next(iter(files[0]))}. Name them alike; "
            "suffixes do not count."
        )
    pairs = [VideoPair(name, files[0][name], files[1][name]) for name in names]
    only = [sorted(one.keys() - other.keys()) for one, other in (files, files[::-1])]
    return VideoPairs(pairs, *only)


def _by_name(folder: Path | str) -> dict[str, Path]:
    """Returns the videos of a folder by their path without suffix."""
    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is no folder. Name a folder of videos.")
    found: dict[str, Path] = {}
    for file in find_videos(folder):
        name = str(PurePosixPath(file.source).with_suffix(""))
        if name in found:
            raise UsageError(
                f"{folder} holds {found[name].name} and {file.path.name} of one name, "
                f"{name}: which of them to compare is unclear. Remove one."
            )
        found[name] = file.path
    return found
