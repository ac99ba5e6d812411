"""Lip synchronisation: measures of videos with their sound."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "FidInception": "inception",
    "FrameFid": "frechet_distance",
    "LipSyncError": "lip_sync_error",
    "SyncNet": "syncnet",
    "SyncScore": "sync_scores",
    "frame_fid": "frechet_distance",
    "sync_distances": "sync_scores",
    "sync_score": "sync_scores",
    "video_sync_distances": "video_sync",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Loads a public name on first use: SyncNet needs neither Inception nor metrics.

    Raises:
        AttributeError: If there is no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(module, name)
