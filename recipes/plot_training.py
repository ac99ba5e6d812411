"""Plots the training curves of a run.

    python recipes/plot_training.py RUN
    python recipes/plot_training.py RUN --out curves.png

RUN is a folder of `pretrain_marlin.py`, even during training, or of any other training
recipe here. The plot shows its metrics.csv and validation.csv: reconstruction loss with
the baseline of predicting the mean colour, adversarial losses, learning rate and clips
per second. The picture is RUN/curves.png by default.

If the run has a meters.csv or a probe.csv, meters.png beside that picture shows them:
effective rank, spread and alignment of the features, retrieval of their tracks, and the
probe beside the constant predictor.

Exit status: 0 done; 2 bad arguments, or a run without any metrics.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization import meter_curves, training_curves

if TYPE_CHECKING:
    from PIL import Image


def main(arguments: Sequence[str] | None = None) -> int:
    """Plots a run.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If an option is invalid, the run has no metrics that can be read, or
            the picture cannot be written.
    """
    options = parse_arguments(arguments)
    run: Path = options.run
    out: Path = options.out or run / "curves.png"
    title = run.resolve().name
    metrics = read_table(run / "metrics.csv")
    validation, gradients, meters, probe = (
        read_table(run / name) if (run / name).exists() else []
        for name in ("validation.csv", "gradients.csv", "meters.csv", "probe.csv")
    )
    try:
        curves = training_curves(metrics, validation, title, gradients)
        measured = meter_curves(meters, probe, title) if meters or probe else None
    except ValueError as error:
        raise UsageError(f"The metrics of {run} cannot be drawn: {error}") from error
    write_picture(curves, out)
    console.print(f"The training curves are in {out}", markup=False, soft_wrap=True)
    if measured is not None:
        path = out.with_name("meters.png")
        write_picture(measured, path)
        console.print(f"The meters are in {path}", markup=False, soft_wrap=True)
    return 0


def write_picture(picture: Image.Image, out: Path) -> None:
    """Writes a picture as PNG, and the folder that it is in."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as temporary:
            picture.save(temporary, format="PNG")
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"The picture {out} cannot be written: {reason}.") from error


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Plot the training curves of a run.")
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of the run")
    parser.add_argument(
        "--out", type=Path, metavar="PNG", help="the picture (default: RUN/curves.png)"
    )
    return parser.parse_args(arguments)


def read_table(path: Path) -> list[dict[str, str | None]]:
    """Reads the rows of a CSV file, values as text; a row cut short has None."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, restkey="rest"))
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no {path}. Give the folder of a run, as --out of the training."
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error


if __name__ == "__main__":
    sys.exit(run_recipe(main, "plots"))
