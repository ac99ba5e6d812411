"""Lip synchronisation: expert, generators, losses, pairs, measures, dubbing."""

from __future__ import annotations

from lightly_marlin.utils.lazy_names import lazy_names

_HOMES = {
    "DubPlan": "dubbing.dub_video",
    "FidInception": "measures.inception",
    "FixedSyncPairs": "pairs.sync_data",
    "FrameFid": "measures.frechet_distance",
    "KeptPairs": "measures.kept_pairs",
    "LipSyncError": "measures.lip_sync_error",
    "LipSyncGenerator": "networks.generator",
    "LipSyncL1Loss": "losses.l1_loss",
    "PairMeasures": "measures.pair_measures",
    "PairMeter": "measures.pair_measures",
    "PairRecord": "measures.pair_measures",
    "PairSampler": "pairs.sync_data",
    "PairScores": "pairs.pair_scores",
    "PictureErrors": "measures.picture_errors",
    "PlacedFace": "measures.face_sound",
    "SyncCurve": "measures.offset_curve",
    "SyncExpert": "networks.sync_expert",
    "SyncLoss": "losses.sync_loss",
    "SyncNet": "measures.syncnet",
    "SyncPair": "pairs.sync_pairs",
    "SyncPairs": "pairs.sync_data",
    "SyncReading": "measures.sync_reading",
    "SyncScore": "measures.sync_scores",
    "SyncTraining": "pairs.sync_training",
    "SyncValidation": "pairs.sync_training",
    "SyncWeight": "losses.sync_weight",
    "TalkingFace": "measures.face_sound",
    "VideoPair": "measures.video_pairs",
    "VideoPairs": "measures.video_pairs",
    "Wav2LipGenerator": "networks.wav2lip_generator",
    "cosine_bce": "losses.sync_loss",
    "draw_pair": "pairs.sync_pairs",
    "feature_fid": "measures.frechet_distance",
    "fixed_pairs": "pairs.sync_pairs",
    "frame_fid": "measures.frechet_distance",
    "generate_lips": "dubbing.lip_stream",
    "load_generator": "networks.loading",
    "mask_lower_half": "networks.lower_half",
    "measure_video": "measures.sync_reading",
    "mel_windows": "sound_windows",
    "pair_inputs": "pairs.sync_pairs",
    "pair_videos": "measures.video_pairs",
    "paste_mouth": "dubbing.paste_back",
    "placed_face": "measures.face_sound",
    "plan_dub": "dubbing.dub_video",
    "score_pairs": "pairs.pair_scores",
    "sound_tracks": "pairs.sync_data",
    "summarise_pairs": "measures.pair_summary",
    "sync_curve": "measures.offset_curve",
    "sync_distances": "measures.sync_scores",
    "sync_score": "measures.sync_scores",
    "talking_face": "measures.face_sound",
    "track_curve": "measures.track_offset",
    "video_sync_distances": "measures.video_sync",
    "write_dub": "dubbing.dub_video",
}

__all__ = list(_HOMES)

# On first use: measures need no generator, and vice versa.
__getattr__ = lazy_names(__name__, _HOMES)
