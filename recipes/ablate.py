"""Compares settings of the pretraining: pretrain, probe, one table with error bars.

    python recipes/ablate.py recipes/configs/ablation.yaml --out ablation
    python recipes/ablate.py grid.yaml --out ablation --dry-run

Features:
- GRID.yaml has settings of pretrain_marlin.py, whose combinations are the cells, named
  variants of several settings, seeds, and options of evaluate.py;
  recipes/configs/ablation.yaml explains it.
- Every cell is pretrained with every seed, and every probe run on each.
- Beside the cells: random initialisation of the same model, downsampled pixels,
  histograms of gradients if the file names them, and the constant predictor.
- All of the file is checked before the first step: settings, paths, labels.
- Resumable: --resume skips what is finished and continues what was begun, with the same
  result as a run that was never stopped. The grid may grow in between, by cells, seeds,
  probes and baselines, but not change.

OUT holds ablation.md and ablation.csv (mean ± standard deviation over seeds),
ablation.json (also the values of every seed, settings, versions), PROBE.png for each
probe, and cells/ROW/seed=S with the run, the results and what the recipes printed.

Exit status: 0 done; 1 a step failed, with its last line; 2 bad arguments or input, with
one line that says what to do.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from lightly_marlin.jobs.lock import Lock, take_lock
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, one_line, progress, run_recipe

if TYPE_CHECKING:
    from lightly_marlin.evaluation.results.ablation import AblationFolder, Step

RECIPES = Path(__file__).parent
LOG_TAIL_BYTES = 2**14


class StepError(Exception):
    """Error for a step that failed, with its name and its last line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs an ablation as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If an option or the grid cannot be used.
    """
    options = parse_arguments(arguments)
    from lightly_marlin.evaluation.results.ablation import AblationFolder
    from lightly_marlin.evaluation.results.ablation_grid import read_grid
    from lightly_marlin.evaluation.results.ablation_table import (
        notes_of,
        read_results,
        rich_table,
        write_reports,
    )

    grid = read_grid(options.grid, RECIPES / "configs")
    folder = AblationFolder(options.out, grid)
    if options.dry_run:
        folder.check(resume=options.resume)
        console.print(list_steps(folder))
        return 0
    folder.open(resume=options.resume)
    try:
        with contextlib.closing(take_lock(options.out, "ablation")) as lock:
            folder.write_record()
            run_steps(folder, lock)
            results = read_results(folder)
            write_reports(folder, results)
    except StepError as error:
        errors = Console(stderr=True, highlight=False)
        text = f"error: {one_line(str(error))}"
        errors.print(text, style="red", markup=False, soft_wrap=True)
        return 1
    console.print(rich_table(results))
    for note in notes_of(grid.seeds, results):
        console.print(note, markup=False, style="yellow")
    console.print(f"The ablation is in {options.out}", markup=False, soft_wrap=True)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Compare settings of the pretraining.")
    add = parser.add_argument
    add(
        "grid",
        type=Path,
        metavar="GRID",
        help="YAML file of settings, seeds and probes",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="OUT",
        help="folder of cells, tables and plots",
    )
    add("--resume", action="store_true", help="continue the ablation in OUT")
    add("--dry-run", action="store_true", help="list the steps and run none")
    return parser.parse_args(arguments)


def list_steps(folder: AblationFolder) -> Table:
    """Returns the steps and whether they are finished, for the terminal."""
    table = Table(title="Steps", title_justify="left")
    for name in ("row", "seed", "step", "state"):
        table.add_column(name)
    for step in folder.steps():
        state = "finished" if step.is_finished() else "to do"
        table.add_row(step.row, str(step.seed), step.task, state)
    return table


def run_steps(folder: AblationFolder, lock: Lock) -> None:
    """Runs what is not finished, step by step.

    Raises:
        StepError: If a step fails.
    """
    steps = list(folder.steps())
    left = [step for step in steps if not step.is_finished()]
    if len(left) < len(steps):
        console.print(f"{len(steps) - len(left)} of {len(steps)} steps are finished.")
    with progress() as bar, terminated_by_signal():
        task = bar.add_task("", total=len(steps), completed=len(steps) - len(left))
        for step in left:
            bar.update(task, description=step.name)
            began = time.monotonic()
            run_step(step, lock)
            seconds = time.monotonic() - began
            bar.advance(task)
            text = f"{step.name}: {seconds:.0f} s"
            console.print(text, markup=False, soft_wrap=True)


def run_step(step: Step, lock: Lock) -> None:
    """Runs a recipe in a process of its own; its output goes to the step's log.

    Raises:
        StepError: If it fails.
    """
    step.prepare()
    command = [sys.executable, str(RECIPES / step.recipe), *step.arguments]
    with step.log.open("ab") as log:
        status = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
            **inherited(lock),
        ).returncode
    if status:
        raise StepError(
            f"{step.name} failed ({how_it_ended(status)}): {last_error(step.log)} "
            f"(its output is in {step.log})"
        )
    step.finish()


def inherited(lock: Lock) -> dict[str, Any]:
    """Returns arguments of a process that keeps the lock for as long as it lives.

    If this program is killed, its step goes on: nobody else may work on it then.
    """
    number = getattr(lock, "fileno", None)
    return {} if number is None else {"pass_fds": (number(),)}


@contextlib.contextmanager
def terminated_by_signal() -> Iterator[None]:
    """Ends the running step, too, when this program is asked to end."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def how_it_ended(status: int) -> str:
    """Returns the exit status of a process in words."""
    if status > 0:
        return f"status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def last_error(log: Path) -> str:
    """Returns the last line of a log that names an error, else its last line."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    if not lines:
        return "it printed nothing"
    # A crash ends with the name of the exception, after an earlier attempt's error.
    if errors and errors[-1] in lines[-3:]:
        return errors[-1].removeprefix("error: ")
    return lines[-1]


if __name__ == "__main__":
    sys.exit(run_recipe(main, "evaluation"))
