"""Crop options on the command lines of recipes, or those that a store records."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import fields

from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.errors import UsageError

__all__ = ["add_crop_arguments", "crop_options"]


def add_crop_arguments(parser: ArgumentParser, *, crops_like: bool = True) -> None:
    """Adds `--min-face`, `--detector`, `--align-eyes` and `--crops-like`.

    Args:
        parser: Its results go to `crop_options`.
        crops_like: Whether the options of a store can be taken instead.
    """
    from lightly_marlin.faces import DETECTORS

    add = parser.add_argument
    add(
        "--min-face",
        type=positive_integer,
        metavar="PIXELS",
        help="about the smallest face to look for, in source pixels (default: 40)",
    )
    add(
        "--detector",
        choices=DETECTORS,
        help="hog: dlib's fast detector of frontal faces; cnn: finds turned and "
        "covered faces, too, a hundred times slower; auto: the first, and the second "
        "for a few frames where the first sees nothing (default: auto)",
    )
    add(
        "--align-eyes",
        action="store_true",
        default=None,
        help="turn the crops so that the eyes lie on a level",
    )
    if crops_like:
        add(
            "--crops-like",
            metavar="STORE",
            help="crop as a face store was cropped, such as that of the training",
        )


def crop_options(options: Namespace) -> CropOptions:
    """Returns the crop options that a command line asks for.

    Args:
        options: Result of a parser with `add_crop_arguments`.

    Raises:
        UsageError: If options of a store are wanted and others, too, or if the store
            cannot be read or records none.
    """
    names = [field.name for field in fields(CropOptions)]
    given = {name: getattr(options, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    store = getattr(options, "crops_like", None)
    if store is None:
        return CropOptions(**given)
    if given:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"--crops-like takes all options from the store: drop {flags}."
        )
    return FaceStore(store).crop_options
