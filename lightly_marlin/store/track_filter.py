"""Selection of tracks of a face store by their quality."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.options import add_options
from lightly_marlin.utils.settings import NOT_NEGATIVE, check_settings, setting

__all__ = ["TrackFilter", "add_filter_options"]


@dataclass(frozen=True)
class TrackFilter:
    """Limits on the quality of tracks.

    They are on columns of `TrackRow`; None is no limit. A track whose quality was not
    measured does not meet a limit on it.

    Example:
        >>> good = TrackFilter(min_face=64, max_yaw=45)
        >>> clips = FaceClips(store, tracks=good.select(store))
    """

    min_face: float | None = setting(
        None,
        "Least width of the face in source pixels.",
        NOT_NEGATIVE,
        metavar="PIXELS",
    )
    min_frames: int | None = setting(
        None, "Least length of the track in frames.", NOT_NEGATIVE, metavar="N"
    )
    min_coverage: float | None = setting(
        None,
        "Least share of frames with the face seen, up to 1.",
        NOT_NEGATIVE,
        metavar="SHARE",
    )
    min_confidence: float | None = setting(
        None,
        "Least confidence of the landmarks, up to 1.",
        NOT_NEGATIVE,
        metavar="SHARE",
    )
    min_sharpness: float | None = setting(
        None,
        "Least sharpness; below about 0.1 faces are blurred.",
        NOT_NEGATIVE,
        metavar="VALUE",
    )
    min_brightness: float | None = setting(
        None,
        "Least luma of the face, up to 255.",
        NOT_NEGATIVE,
        metavar="LUMA",
    )
    max_brightness: float | None = setting(
        None, "Greatest luma of the face.", NOT_NEGATIVE, metavar="LUMA"
    )
    min_contrast: float | None = setting(
        None,
        "Least contrast of the face, in grey levels.",
        NOT_NEGATIVE,
        metavar="LEVELS",
    )
    max_yaw: float | None = setting(
        None,
        "Greatest absolute yaw anywhere in the track, in degrees.",
        NOT_NEGATIVE,
        metavar="DEGREES",
    )
    max_jitter: float | None = setting(
        None,
        "Greatest jitter of the crop box, in widths of the face.",
        NOT_NEGATIVE,
        metavar="VALUE",
    )

    def __post_init__(self) -> None:
        """Checks the limits.

        Raises:
            UsageError: If one is negative or not finite.
        """
        check_settings(self)

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
        values = {
            field.name: getattr(self, field.name) for field in fields(TrackFilter)
        }
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
            # What was not measured is NaN, which compares false with any limit.
            column = store.numbers(_COLUMNS[name])
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
        return store.names(np.flatnonzero(mask))


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


def add_filter_options(parser: ArgumentParser) -> None:
    """Adds an option for every limit, such as `--min-face`.

    Args:
        parser: Its results go to `TrackFilter.from_options(vars(...))`.
    """
    add_options(parser, TrackFilter)
