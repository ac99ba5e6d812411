"""Console output of long work: one console, one kind of progress bar."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from lightly_marlin.utils.dependency import MissingExtraError, require_extras
from lightly_marlin.utils.errors import UsageError

__all__ = ["console", "one_line", "progress", "run_recipe"]

_SHARED_MEMORY = re.compile(
    r"DataLoader worker.*(out of shared memory|[Bb]us error)"
    r"|shared memory\(shm\)|</torch_\d+",
    re.DOTALL,
)
_SHARED_MEMORY_ADVICE = (
    "error: The loader's workers have too little shared memory (/dev/shm): give "
    "--workers 0, or more of it, in Docker by --shm-size 1g or --ipc host."
)

# What gloo says where a connection to another process breaks, and NCCL.
_LOST_PROCESS = re.compile(
    r"gloo.*(closed|reset) by peer|gloo.*(Broken pipe|refused|[Tt]imed out)"
    r"|ncclRemoteError",
    re.DOTALL,
)
_LOST_PROCESS_TYPES = {"DistBackendError", "DistNetworkError", "DistStoreError"}
_LOST_PROCESS_ADVICE = (
    "error: Another process of this training has ended or cannot be reached. Its own "
    "output says why. Start all of them again, with --resume."
)

console = Console(stderr=False, highlight=False)


class _RateColumn(ProgressColumn):
    """Completed units per second."""

    def render(self, task: Task) -> Text:
        """Returns the rate as text, or a dash while it is unknown."""
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "it")
        if speed is None:
            return Text("-")
        if speed < 1:
            return Text(f"{60 * speed:.1f} {unit}/min")
        return Text(f"{speed:.1f} {unit}/s")


def progress() -> Progress:
    """Returns a progress bar with count, rate and remaining time.

    It shows nothing if the output is not a terminal. `add_task(..., unit="frames")`
    names the unit of the rate.
    """
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=console,
        # A video may take minutes, but the default window is 30 seconds.
        speed_estimate_period=3600,
        disable=not console.is_terminal,
    )


def one_line(text: str) -> str:
    """Returns text for a line of output, with unprintable characters escaped.

    File names may contain line breaks, terminal control sequences, and bytes that are
    not text.
    """
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in text
    )


def run_recipe(main: Callable[[], int], *extras: str) -> int:
    """Runs a recipe's main function and turns a user's mistakes into one line.

    Args:
        main: Function that does the work and returns the exit status.
        extras: Extras of this package that the recipe requires.

    Returns:
        The exit status: that of `main`, 2 after a `UsageError`, if an extra is missing
        or if loaders run out of shared memory, 1 if interrupted or if another process
        that trains along is gone.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal's encoding lacks must not end the work.
            stream.reconfigure(errors="backslashreplace")
    errors = Console(stderr=True, highlight=False)
    try:
        require_extras(Path(sys.argv[0]).name, *extras)
        return main()
    except (UsageError, MissingExtraError) as error:
        text = f"error: {_own_words(error)}"
        errors.print(text, style="red", markup=False, soft_wrap=True)
        return 2
    except RuntimeError as error:
        # PyTorch raises it wherever the main process is when a worker dies of it.
        if _is_lost_process(error):
            errors.print(
                _LOST_PROCESS_ADVICE, style="red", markup=False, soft_wrap=True
            )
            return 1
        if not _SHARED_MEMORY.search(str(error)):
            raise
        errors.print(_SHARED_MEMORY_ADVICE, style="red", markup=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        errors.print("interrupted", style="red")
        return 1


def _is_lost_process(error: RuntimeError) -> bool:
    """Returns whether a process that trains along is gone."""
    named = type(error).__name__ in _LOST_PROCESS_TYPES
    return named or _LOST_PROCESS.search(str(error)) is not None


def _own_words(error: Exception) -> str:
    """Returns the message without the traceback that a loader process prepends."""
    text = str(error)
    if "Original Traceback" in text:
        text = text.rsplit(f"{type(error).__name__}: ", maxsplit=1)[-1]
    return one_line(" ".join(text.split()))
