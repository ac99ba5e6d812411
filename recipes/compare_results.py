"""Compares results of evaluate.py and finetune.py in one table.

    python recipes/compare_results.py pretrained random --out table

writes to the folder `--out`

- table.md and table.csv: every metric with its interval, the constant predictor, and of
  several seeds the mean and standard deviation;
- differences.csv: paired differences from the first result on the items that both
  tested, with intervals by bootstrap over groups, where the labels are the same;
- metrics.png: the primary metric of each result with its interval, and few_shot.png
  where results are of several shares of the training items.

Published figures are shown beside a result only where its protocol is theirs: the
preset `released` with given splits; what differs is said in words.

Exit status: 0 done; 2 bad arguments, or a folder without a result.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write

if TYPE_CHECKING:
    from lightly_marlin.evaluation.results.comparison import Compared


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares results as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If a folder holds no result, or the table cannot be written.
    """
    options = parse_arguments(arguments)
    from lightly_marlin.evaluation.results.comparison import (
        compared_table,
        paired_rows,
        read_compared,
    )
    from lightly_marlin.evaluation.results.table_files import markdown_table, write_csv

    compared = read_compared(options.results)
    out: Path = options.out
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder {out} cannot be made: {error.strerror}") from None
    rows = compared_table(compared)
    write_csv(out / "table.csv", rows)
    with atomic_write(out / "table.md") as temporary:
        temporary.write_text(markdown_table(rows), encoding="utf-8")
    differences = paired_rows(compared)
    if differences:
        write_csv(out / "differences.csv", differences)
    draw(compared, out)
    console.print(markdown_table(rows), markup=False, soft_wrap=True)
    console.print(f"The comparison is in {out}", markup=False, soft_wrap=True)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Compare results of evaluations.")
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="OUT",
        help="folders of evaluate.py or finetune.py; differences are from the first",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="TABLE",
        help="folder of table and plots",
    )
    return parser.parse_args(arguments)


def draw(compared: Sequence[Compared], out: Path) -> None:
    """Draws metrics.png and, of several shares, few_shot.png."""
    from lightly_marlin.evaluation.results.comparison import compared_pictures

    for name, picture in compared_pictures(compared).items():
        with atomic_write(out / f"{name}.png") as temporary:
            picture.save(temporary)


if __name__ == "__main__":
    sys.exit(run_recipe(main, "evaluation"))
