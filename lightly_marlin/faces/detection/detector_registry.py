"""Registry of face detectors: names, and entries of packages, that options take."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable

from lightly_marlin.faces.detection.detector import FaceDetector
from lightly_marlin.faces.detection.dlib_models import DlibDetector
from lightly_marlin.faces.detection.dlib_networks import DlibCnnDetector
from lightly_marlin.utils.errors import UsageError, first_line

__all__ = [
    "detector_factory",
    "detector_names",
    "is_detector_name",
    "load_detectors",
    "register_detector",
    "unregister_detector",
]

DetectorFactory = Callable[[], FaceDetector]

_AUTO = "auto"
_BUILT_IN: dict[str, DetectorFactory] = {"hog": DlibDetector, "cnn": DlibCnnDetector}
_factories: dict[str, DetectorFactory] = {}

_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def register_detector(name: str, factory: DetectorFactory) -> None:
    """Registers a detector, in place of an earlier one of that name.

    Args:
        name: Name that `detector` and `--detector` take.
        factory: Makes the detector, once per process. Worker processes get it by
            pickling, so it should be a function or a class of a module.

    Raises:
        ValueError: If the name is built in or cannot be an option.
    """
    if name in (*_BUILT_IN, _AUTO) or not re.fullmatch(r"[a-z0-9_-]+", name):
        raise ValueError(
            f"Invalid name of a detector ({name!r}). Supported are lower-case letters, "
            "digits, '-' and '_'; hog, cnn and auto are taken."
        )
    _factories[name] = factory
    load_detectors.cache_clear()


def unregister_detector(name: str) -> None:
    """Takes a detector out of the registry.

    Raises:
        ValueError: If none is registered under that name.
    """
    if name not in _factories:
        raise ValueError(f"Invalid name of a detector ({name!r}): not registered.")
    del _factories[name]
    load_detectors.cache_clear()


def detector_names() -> tuple[str, ...]:
    """Returns the names that `detector` takes, the built-in ones first."""
    return (*_BUILT_IN, _AUTO, *_factories)


def detector_factory(name: str) -> DetectorFactory | None:
    """Returns the factory that was registered under a name; None for all others."""
    return _factories.get(name)


def is_detector_name(name: object) -> bool:
    """Returns whether `name` is a known detector, or has the form of an entry."""
    return isinstance(name, str) and (
        name in detector_names() or _ENTRY.fullmatch(name) is not None
    )


@functools.cache
def load_detectors(name: str) -> tuple[FaceDetector, ...]:
    """Loads the detectors of a name, once per process.

    Args:
        name: One of `detector_names`, or an entry "package.module:factory" whose
            factory is called without arguments.

    Returns:
        The detector that searches and checks, and for "auto" the one that is asked
        where the first sees nothing.

    Raises:
        UsageError: If there is no such detector, or its factory makes none.
    """
    if name == _AUTO:
        return tuple(factory() for factory in _BUILT_IN.values())
    factory = _BUILT_IN.get(name) or _factories.get(name) or _import_factory(name)
    detector = factory()
    if not isinstance(detector, FaceDetector):
        raise UsageError(
            f"Invalid detector ({name!r}): its factory made a "
            f"{type(detector).__name__}, which lacks what a FaceDetector has. Let its "
            "class inherit from lightly_marlin.faces.FaceDetector."
        )
    return (detector,)


def _import_factory(name: str) -> DetectorFactory:
    """Returns the factory that an entry names."""
    if not is_detector_name(name):
        raise UsageError(
            f"Invalid detector ({name!r}). Supported values are "
            f"{', '.join(detector_names())}, or package.module:factory."
        )
    module, _, attribute = name.partition(":")
    try:
        factory: DetectorFactory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"Invalid detector ({name!r}): {first_line(error)}. Its module must be "
            "installed or on PYTHONPATH."
        ) from error
    return factory
