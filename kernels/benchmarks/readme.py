"""The parts of kernels/README.md that are computed: byte counts, and measured figures.

    python -m lightly_marlin.kernels.benchmarks.readme            # print them
    python -m lightly_marlin.kernels.benchmarks.readme --write    # and put them there

A test holds the README against this script, so that it cannot quote anything else.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from lightly_marlin.kernels.benchmarks.cases import WAYS
from lightly_marlin.kernels.benchmarks.traffic import (
    OPERATIONS,
    expected_microseconds,
    minimal_bytes,
)
from lightly_marlin.kernels.benchmarks.workload import PRETRAINING

__all__ = ["make_byte_table", "make_figures", "update"]

README = Path(__file__).parents[1] / "README.md"
RESULTS = Path(__file__).parent / "results"
BATCH_SIZE = 64
BANDWIDTH = 0.9 * 3350
"""GB/s: nine tenths of what the memory of an H100 (SXM) moves at most."""

_NOTHING = (
    "No figure has been measured on a GPU yet: the table above is what is expected,\n"
    "and nothing more is claimed.\n"
)


def make_byte_table() -> str:
    """Returns the bytes of every operation and the time they take at best."""
    lines = [
        "| operation, batch 64 | bfloat16: reads + writes | at best "
        "| float32: reads + writes | at best |",
        "|---|---|---|---|---|",
    ]
    for operation in OPERATIONS:
        cells = [operation]
        for item_size in (2, 4):
            both = minimal_bytes(operation, PRETRAINING, BATCH_SIZE, item_size)
            best = expected_microseconds(sum(both), BANDWIDTH)
            cells += [f"{both[0] / 1e6:.1f} + {both[1] / 1e6:.1f} MB", f"{best:.0f} µs"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def make_figures(folder: Path = RESULTS) -> str:
    """Returns a table of every committed GPU result, or that there is none.

    Args:
        folder: Where the JSON files of results are.
    """
    results = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("kernels-*.json"))
    ]
    results = [result for result in results if result["device"] != "cpu"]
    if not results:
        return _NOTHING
    return "\n".join(_make_table(result) for result in results)


def update(text: str, folder: Path = RESULTS) -> str:
    """Returns the text of a README with its computed parts made anew.

    Args:
        text: The README.
        folder: Where the JSON files of results are.

    Raises:
        ValueError: If a part is not marked in the text.
    """
    for name, block in (
        ("bytes", make_byte_table()),
        ("figures", make_figures(folder)),
    ):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        pattern = f"{re.escape(begin)}.*{re.escape(end)}"
        # re.sub would read backslashes of the block as groups.
        whole = (begin + block + end).replace("\\", "\\\\")
        text, count = re.subn(pattern, whole, text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"The README must have one part {begin!r}, got {count}.")
    return text


def _make_table(result: dict[str, Any]) -> str:
    """Returns a row for every operation and batch size of a result."""
    others = WAYS[1:]
    lines = [
        f"| operation | batch | ours | copy | of copy | {' | '.join(others)} |",
        "|---|---|---|---|---|" + "---|" * len(others),
    ]
    rows: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for row in result["operations"]:
        key = (row["operation"], row["batch_size"])
        rows.setdefault(key, {})[row["way"]] = row
    for (operation, batch_size), ways in rows.items():
        ours = ways["ours"]
        cells = [operation, str(batch_size), f"{ours['median_us']:.0f} µs"]
        cells.append(f"{ours['copy_us']:.0f} µs")
        cells.append(f"{100 * ours['share_of_copy']:.0f} %")
        for way in others:
            slower = ways[way]["median_us"] / ours["median_us"] if way in ways else None
            cells.append("" if slower is None else f"{slower:.1f}×")
        lines.append(f"| {' | '.join(cells)} |")
    machine = result["machine"]
    versions = machine["versions"]
    caption = (
        f"{machine['gpu']}, copy {result['copy_gb_per_s']:.0f} GB/s, "
        f"{result['dtype']}, torch {versions['torch']}, Triton {versions['triton']}, "
        f"{machine['date'].split()[0]}; medians of {result['repeats']} calls, device "
        "time without the host's. «Copy» moves as many bytes as the operation must. "
        "The columns to the right say how many times as long the other ways take."
    )
    return "\n".join(lines) + f"\n\n{caption}\n"


def main() -> None:
    """Prints the parts, and writes them into the README if asked to."""
    parser = argparse.ArgumentParser(
        description="Make the computed parts of README.md."
    )
    parser.add_argument("--write", action="store_true", help="update kernels/README.md")
    arguments = parser.parse_args()
    print(make_byte_table(), make_figures(), sep="\n")
    if arguments.write:
        text = update(README.read_text(encoding="utf-8"))
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
