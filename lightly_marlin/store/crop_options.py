"""Options of face crops, as recorded in stores and features.

A model should see the same kind of crops as in training: the options recorded in a
store can be reused for features and pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from lightly_marlin.utils.errors import UsageError

__all__ = ["PIPELINE_VERSION", "CropOptions", "common_crops"]

PIPELINE_VERSION = 3
"""Version of the tracks. Increased when the same video and options give other tracks
than before; stores and features of earlier versions are then recomputed."""

_FACTORY = "factory of the detector"


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """Options of the search for faces and of their crops.

    Attributes:
        min_face: Approximate side, in source pixels, of the smallest face to look for.
        detector:
            "hog" (fast, frontal faces), "cnn" (also turned and covered ones, a hundred
            times slower) or "auto" (the CNN only where HOG finds nothing). Also a name
            registered with `register_detector` or an entry "package.module:factory".
            Pickled options carry a registered factory to worker processes.
        align_eyes: Rotate the crops so that the eyes are level.
    """

    min_face: int = 40
    detector: str = "auto"
    align_eyes: bool = False

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            UsageError: A ValueError, naming the option, its value and what is allowed.
        """
        self._check_positive("min_face")
        if self.detector == CropOptions.detector:
            return
        # Loads the detectors, which takes seconds that the default need not cost.
        from lightly_marlin.faces.detection.detector_registry import load_detectors

        load_detectors(self.detector)

    def __getstate__(self) -> dict[str, Any]:
        """Returns the options and the factory of a registered detector."""
        if self.detector == CropOptions.detector:
            return vars(self)
        from lightly_marlin.faces.detection.detector_registry import detector_factory

        return {**vars(self), _FACTORY: detector_factory(self.detector)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Registers the detector where it is not known, in a worker process."""
        options = dict(state)
        factory = options.pop(_FACTORY, None)
        if factory is not None:
            from lightly_marlin.faces.detection.detector_registry import (
                detector_factory,
                register_detector,
            )

            if detector_factory(options["detector"]) is None:
                register_detector(options["detector"], factory)
        vars(self).update(options)

    def crops(self) -> dict[str, Any]:
        """Returns these options and the version of the pipeline, as plain values."""
        names = [field.name for field in fields(CropOptions)]
        options = {name: getattr(self, name) for name in names}
        return {"pipeline": PIPELINE_VERSION, **options}

    @classmethod
    def from_crops(cls, crops: Mapping[str, Any]) -> CropOptions:
        """Reads options from the result of `crops`.

        Raises:
            UsageError: If another version of the pipeline made the crops, or a value is
                invalid.
        """
        options = dict(crops)
        version = options.pop("pipeline", None)
        if version != PIPELINE_VERSION:
            raise UsageError(
                f"The crops are those of pipeline {version}; this release makes those "
                f"of pipeline {PIPELINE_VERSION}."
            )
        try:
            return CropOptions(**options)
        except TypeError as error:
            raise UsageError(f"The crops have unknown options: {error}.") from error

    def _check_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(
                    f"Invalid {name} ({value!r}). It must be a positive integer."
                )


def common_crops(
    fingerprints: Iterable[Mapping[str, Any]],
) -> dict[str, Any] | None:
    """Returns the crop options that all videos share, in the form of `crops`.

    Args:
        fingerprints: Fingerprints of the videos with tracks.

    Returns:
        The options; None if there is no video, or they differ or are unknown.
    """
    names = ("pipeline", *(field.name for field in fields(CropOptions)))
    # Compared rather than hashed: a damaged record may hold anything.
    found = [{name: one.get(name) for name in names} for one in fingerprints]
    if not found or None in found[0].values() or any(one != found[0] for one in found):
        return None
    return found[0]
