"""Selection of tracks of a face store by their quality."""

from __future__ import annotations

import math
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.utils.errors import UsageError

__all__ = ["TrackFilter", "add_filter_options"]


@dataclass(frozen=True)
class TrackFilter:
    """Limits on the quality columns of `TrackRow`; None is no limit.

    A track whose quality was not measured does not meet a limit on it.

    Example:
        >>> good = TrackFilter(min_face=64, max_yaw=45)
        >>> clips = FaceClips(store, tracks=good.select(store))

    Attributes:
        min_face: Least width of the face in source pixels (`face_width`).
        min_frames: Least length in frames.
        min_coverage: Least share of frames with the face seen, in [0, 1].
        min_confidence: Least confidence of the landmarks, in [0, 1].
        min_sharpness: Least sharpness.
        min_brightness: Least luma of the face, in [0, 255].
        max_brightness: Highest luma of the face, in [0, 255].
        min_contrast: Least contrast of the face, in grey levels.
        max_yaw: Highest absolute yaw anywhere in the track, in degrees.
        max_jitter: Highest jitter of the crop box, in units of the face's width.
    """

    min_face: float | None = None
    min_frames: int | None = None
    min_coverage: float | None = None
    min_confidence: float | None = None
    min_sharpness: float | None = None
    min_brightness: float | None = None
    max_brightness: float | None = None
    min_contrast: float | None = None
    max_yaw: float | None = None
    max_jitter: float | None = None

    def __post_init__(self) -> None:
        """Checks the limits.

        Raises:
            UsageError: If one is negative or not finite.
        """
        for name, value in self.limits().items():
            if not 0 <= value < math.inf:
                raise UsageError(f"Invalid {name} {value}: must be 0 or more.")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> TrackFilter:
        """Makes a filter of options or settings of the same names.

        Args:
            options: Limits by name; other names are ignored, missing ones set no limit.
        """
        names = [field.name for field in fields(cls)]
        return cls(**{name: options.get(name) for name in names})

    def limits(self) -> dict[str, float]:
        """Returns the limits that are set, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def keeps(self, store: FaceStore) -> dict[str, npt.NDArray[np.bool_]]:
        """Returns the tracks that meet each limit on its own.

        Args:
            store: A face store.

        Returns:
            A bool array with one entry per track, by the name of each set limit.
        """
        kept = {}
        for name, limit in self.limits().items():
            values = store.column(_COLUMNS[name])
            # NaN compares false with any limit.
            column = np.array([math.nan if v is None else v for v in values], float)
            kept[name] = column <= limit if name.startswith("max") else column >= limit
        return kept

    def mask(self, store: FaceStore) -> npt.NDArray[np.bool_]:
        """Returns a bool array with one entry per track, True if within all limits."""
        mask = np.ones(len(store), dtype=bool)
        for kept in self.keeps(store).values():
            mask &= kept
        return mask

    def select(self, store: FaceStore) -> list[str]:
        """Returns the names of the tracks that meet all limits.

        Args:
            store: A face store.

        Returns:
            Track ids in the order of the store, usable as `FaceClips(tracks=...)`.

        Raises:
            UsageError: If no track is left; the message states what each limit removes.
        """
        mask = self.mask(store)
        if len(store) and not mask.any():
            removed = ", ".join(
                f"{name} {self.limits()[name]:g} removes {np.sum(~kept)}"
                for name, kept in self.keeps(store).items()
            )
            raise UsageError(
                f"No track of the store {store.path} meets the limits. Of "
                f"{len(store)} tracks, {removed}. Loosen them; what there is shows: "
                f"python recipes/inspect_store.py {store.path}"
            )
        names = store.column("track_id")
        return [name for name, kept in zip(names, mask, strict=True) if kept]


_COLUMNS = {
    "min_face": "face_width",
    "min_frames": "num_frames",
    "min_coverage": "coverage",
    "min_confidence": "landmark_confidence",
    "min_sharpness": "sharpness",
    "min_brightness": "brightness",
    "max_brightness": "brightness",
    "min_contrast": "contrast",
    "max_yaw": "max_abs_yaw",
    "max_jitter": "box_jitter",
}

_HELP = {
    "min_face": ("PIXELS", "least width of the face in source pixels"),
    "min_frames": ("N", "least length of the track"),
    "min_coverage": ("SHARE", "least share of frames with the face seen, up to 1"),
    "min_confidence": ("SHARE", "least confidence of the landmarks, up to 1"),
    "min_sharpness": ("VALUE", "least sharpness; below about 0.1 faces are blurred"),
    "min_brightness": ("LUMA", "least brightness of the face, up to 255"),
    "max_brightness": ("LUMA", "highest brightness of the face"),
    "min_contrast": ("LEVELS", "least contrast of the face, in grey levels"),
    "max_yaw": ("DEGREES", "how far the face may turn aside anywhere in the track"),
    "max_jitter": ("VALUE", "highest jitter of the crop, in widths of the face"),
}


def add_filter_options(parser: ArgumentParser) -> None:
    """Adds an option for every limit, such as `--min-face`.

    Args:
        parser: Its results go to `TrackFilter.from_options(vars(...))`.
    """
    group = parser.add_argument_group(
        "limits", "use only tracks of this quality (default: all)"
    )
    for name, (metavar, text) in _HELP.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=int if name == "min_frames" else float,
            metavar=metavar,
            help=text,
        )
