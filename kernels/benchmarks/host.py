"""Host cost of a call: Python and dispatch, with tensors too small to count.

    python -m lightly_marlin.kernels.benchmarks.host
    python -m lightly_marlin.kernels.benchmarks.host --device cuda

Prints for every operation the microseconds that the host needs per call, of ours and of
the plain version under it. On a CPU ours is the plain version behind checks and
operator, so the difference is what those cost; on a GPU the launch is in it too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import torch

from lightly_marlin.kernels.benchmarks.cases import make_cases
from lightly_marlin.kernels.benchmarks.report import print_table
from lightly_marlin.kernels.benchmarks.timing import host_microseconds
from lightly_marlin.kernels.benchmarks.workload import TINY

__all__ = ["host_costs", "main"]

_SMALLEST = replace(TINY, frames=2, side=16)


def host_costs(
    device: torch.device, calls: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Returns microseconds per call of one tiny clip, by operation and way.

    Args:
        device: Where the tensors are.
        calls: Calls of a round.
        rounds: Rounds, of which the fastest counts; ours and plain take turns.
    """
    costs: dict[str, dict[str, float]] = {}
    for case in make_cases(_SMALLEST, 1, device, with_compile=False):
        times: dict[str, list[float]] = {"ours": [], "plain": []}
        for _ in range(rounds):
            for way, seen in times.items():
                function = case.ways[way]
                call = lambda f=function, c=case: f(**c.inputs)  # noqa: E731
                seen.append(host_microseconds(call, calls, rounds=1))
        costs[case.name] = {way: min(seen) for way, seen in times.items()}
    return costs


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lightly_marlin.kernels.benchmarks.host",
        description="Measure what a call costs the host.",
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cpu")
    parser.add_argument("--calls", type=int, default=200, help="calls of a round")
    parser.add_argument("--rounds", type=int, default=7, help="the fastest one counts")
    options = parser.parse_args(arguments)
    costs = host_costs(torch.device(options.device), options.calls, options.rounds)
    rows: list[tuple[str, ...]] = []
    for name, ways in costs.items():
        figures = (ways["ours"], ways["plain"], ways["ours"] - ways["plain"])
        rows.append((name, *(f"{figure:.0f}" for figure in figures)))
    columns = ("operation", "ours µs", "plain µs", "more")
    print_table(f"Host time per call, {options.device}", columns, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
