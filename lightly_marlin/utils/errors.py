"""Exception that recipes show as one line."""

from __future__ import annotations

__all__ = ["UsageError", "first_line"]


class UsageError(ValueError):
    """Error in the user's input; the message names it, its value and the remedy.

    Recipes print the message without a traceback and exit with status 2.
    """


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's text, or its type if there is none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
