"""Settings that determine what is prepared, and whether workers can have them."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from lightly_marlin.preparation.prepare_video import PreparationOptions

if TYPE_CHECKING:
    from lightly_marlin.faces import FaceParser

__all__ = ["check_pickles", "settings_of"]


def check_pickles(options: PreparationOptions) -> None:
    """Checks that parser and detector can be sent to worker processes.

    Args:
        options: The options.

    Raises:
        ValueError: If one of them cannot be pickled.
    """
    _check_parser(options.parser)
    _check_factory(options)


def settings_of(options: PreparationOptions) -> dict[str, Any]:
    """Returns the settings that, besides the file, determine the result.

    Args:
        options: The options.
    """
    from lightly_marlin.faces.detection.detector_registry import load_detectors

    settings = {
        **options.crops(),
        "all_faces": options.all_faces,
        "jpeg_quality": options.jpeg_quality,
        "audio": options.audio,
        "parser": None if options.parser is None else _describe(options.parser),
    }
    # Those that are built in have none: they change with the pipeline.
    if fingerprint := load_detectors(options.detector)[0].fingerprint:
        settings["detector_fingerprint"] = fingerprint
    return settings


def _describe(parser: FaceParser) -> str:
    """Returns the parser's class and, where it has one, its fingerprint."""
    kind = type(parser)
    fingerprint = getattr(parser, "fingerprint", "")
    return f"{kind.__module__}.{kind.__qualname__} {fingerprint}".rstrip()


def _check_parser(parser: FaceParser | None) -> None:
    """Raises ValueError if a parser cannot be sent to a worker process."""
    try:
        pickle.dumps(parser)
    except Exception as error:
        raise ValueError(
            f"Invalid parser {parser}: it cannot be pickled for worker processes "
            f"({error}). Use num_workers=0 for it."
        ) from error


def _check_factory(options: PreparationOptions) -> None:
    """Raises ValueError if a detector cannot be sent to a worker process."""
    from lightly_marlin.faces.detection.detector_registry import detector_factory

    factory = detector_factory(options.detector)
    try:
        pickle.dumps(factory)
    except Exception as error:
        raise ValueError(
            f"Invalid detector ({options.detector!r}): its factory {factory} cannot be "
            f"pickled for worker processes ({error}). Register a function or class of "
            "a module, or use num_workers=0."
        ) from error
