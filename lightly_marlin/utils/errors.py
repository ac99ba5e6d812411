"""The exception that recipes show as one line."""

from __future__ import annotations

__all__ = ["UsageError"]


class UsageError(ValueError):
    """The user's input cannot be used; the message says what, which and what to do.

    Recipes print the message without a traceback and exit with status 2.
    """
