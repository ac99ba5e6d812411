"""Crop options on the command lines of recipes, or those that a store records."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import fields

from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.errors import UsageError

__all__ = ["add_crop_arguments", "crop_options", "crops_faces"]


class _DetectorChoices:
    """Names of detectors, as `argparse` lists and checks them."""

    def __contains__(self, name: object) -> bool:
        from lightly_marlin.faces.detection.detector_registry import is_detector_name

        return is_detector_name(name)

    def __iter__(self) -> Iterator[str]:
        from lightly_marlin.faces.detection.detector_registry import detector_names

        return iter((*detector_names(), "package.module:factory"))


def add_crop_arguments(parser: ArgumentParser) -> None:
    """Adds `--min-face`, `--detector`, `--align-eyes` and `--crops-like`.

    Args:
        parser: Parser whose results are passed to `crop_options`.
    """
    add = parser.add_argument
    add(
        "--min-face",
        type=positive_integer,
        metavar="PIXELS",
        help="approximate side of the smallest face, in source pixels (default: 40)",
    )
    add(
        "--detector",
        choices=_DetectorChoices(),
        help="hog: dlib's fast detector of frontal faces; cnn: finds turned and "
        "covered faces too, a hundred times slower; auto: hog, with cnn for a few "
        "frames where hog finds nothing; or a detector of yours, see "
        "docs/detectors.md (default: auto)",
    )
    add(
        "--align-eyes",
        action="store_true",
        default=None,
        help="rotate the crops so that the eyes are level",
    )
    add(
        "--crops-like",
        metavar="STORE",
        help="use the crop options of a face store, such as the training store",
    )


def crop_options(options: Namespace) -> CropOptions:
    """Returns the crop options that a command line asks for.

    Args:
        options: Result of a parser with `add_crop_arguments`.

    Raises:
        UsageError: If `--crops-like` is combined with other options, or if its store
            cannot be read or records none.
    """
    names = [field.name for field in fields(CropOptions)]
    given = {name: getattr(options, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    if options.crops_like is None:
        return CropOptions(**given)
    if given:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"--crops-like takes all options from the store: drop {flags}."
        )
    return FaceStore(options.crops_like).crop_options


def crops_faces(options: Namespace) -> bool:
    """Returns whether a command line asks for faces instead of whole frames.

    Args:
        options: Result of a parser with `add_crop_arguments`, `--crop-face` and
            `--all-faces`; most of the others only apply to faces.
    """
    names = ("crop_face", "all_faces", "detector", "align_eyes", "crops_like")
    return any(getattr(options, name) for name in names)
