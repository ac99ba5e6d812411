"""Lip synchronisation: expert, generators, losses, pairs, measures, dubbing."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "DubPlan": "dubbing",
    "FidInception": "inception",
    "FixedSyncPairs": "sync_data",
    "FrameFid": "frechet_distance",
    "LipSyncError": "lip_sync_error",
    "LipSyncGenerator": "generator",
    "LipSyncL1Loss": "l1_loss",
    "PairSampler": "sync_data",
    "PairScores": "pair_scores",
    "SyncCurve": "offset_curve",
    "SyncExpert": "sync_expert",
    "SyncLoss": "sync_loss",
    "SyncNet": "syncnet",
    "SyncPair": "sync_pairs",
    "SyncPairs": "sync_data",
    "SyncReading": "sync_reading",
    "SyncScore": "sync_scores",
    "SyncTraining": "sync_training",
    "SyncValidation": "sync_training",
    "SyncWeight": "sync_weight",
    "TalkingFace": "face_sound",
    "Wav2LipGenerator": "wav2lip_generator",
    "cosine_bce": "sync_loss",
    "draw_pair": "sync_pairs",
    "fixed_pairs": "sync_pairs",
    "frame_fid": "frechet_distance",
    "generate_lips": "lip_stream",
    "load_generator": "loading",
    "mask_lower_half": "lower_half",
    "measure_video": "sync_reading",
    "mel_windows": "sound_windows",
    "pair_inputs": "sync_pairs",
    "paste_mouth": "paste_back",
    "plan_dub": "dubbing",
    "score_pairs": "pair_scores",
    "sound_tracks": "sync_data",
    "sync_curve": "offset_curve",
    "sync_distances": "sync_scores",
    "sync_score": "sync_scores",
    "talking_face": "face_sound",
    "track_curve": "track_offset",
    "video_sync_distances": "video_sync",
    "write_dub": "dubbing",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Loads a public name on first use: measures need no generator, and vice versa.

    Raises:
        AttributeError: If there is no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(module, name)
