"""Fingerprint of a job: equal as long as neither its file nor its settings change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["same_file_state", "take_fingerprint"]


def take_fingerprint(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the inputs that determine the result of a job.

    Args:
        path: The file to process.
        settings: All other inputs that determine the result, as JSON values.

    Returns:
        The settings, `size` in bytes and `mtime_ns`, the time of modification; these
        are None for an unreachable file, whose error is reported on opening it.
    """
    try:
        status = path.stat()
    except OSError:
        return {"size": None, "mtime_ns": None, **settings}
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, **settings}


def same_file_state(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Returns whether two fingerprints describe the same state of a file."""
    names = ("size", "mtime_ns", "etag")
    return all(one.get(name) == other.get(name) for name in names)
