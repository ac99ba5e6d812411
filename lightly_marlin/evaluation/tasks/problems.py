"""Problems of a data set, collected so that one error reports all of them."""

from __future__ import annotations

from pathlib import Path

from lightly_marlin.utils.errors import UsageError

__all__ = ["Problems", "some"]

_SHOWN = 10


class Problems:
    """List of what is wrong with a file or folder."""

    def __init__(self, source: Path) -> None:
        """Takes the file or folder that the report begins with."""
        self._source = source
        self._found: list[str] = []

    def add(self, text: str) -> None:
        """Adds a problem; its text begins with the row, key or file."""
        self._found.append(text)

    def __bool__(self) -> bool:
        return bool(self._found)

    def report(self) -> None:
        """Reports the problems.

        Raises:
            UsageError: If there are any, with their number and the first ten.
        """
        if self._found:
            count = len(self._found)
            what = "1 problem" if count == 1 else f"{count:,} problems"
            shown = "; ".join(self._found[:_SHOWN])
            more = f"; and {count - _SHOWN:,} more" if count > _SHOWN else ""
            raise UsageError(f"{self._source} has {what}: {shown}{more}.")


def some(names: list[str], shown: int = 3) -> str:
    """Returns the first names as text, and the number of the others."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
