"""Accuracy of an expert at telling sound in sync from shifted sound, by clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from lightly_marlin.audio import mel_spectrogram
from lightly_marlin.lip_sync import (
    SyncExpert,
    TalkingFace,
    measure_video,
    mel_windows,
    shift_sound,
)
from lightly_marlin.utils.evaluation_mode import evaluation_mode

FPS = 25
MIN_SHIFT, MAX_SHIFT = 3, 50
SHIFTS = range(-10, 11)


class ClipAccuracy(NamedTuple):
    """Scores of a clip; chance is 0.5 for both.

    Attributes:
        accuracy: Mean of the shares of pairs in sync whose cosine is above 0.5, and of
            shifted pairs, by 3 to 50 frames, whose cosine is not.
        auc: Area under the ROC of the cosines of both.
    """

    accuracy: float
    auc: float


def clip_accuracy(expert: SyncExpert, face: TalkingFace) -> ClipAccuracy:
    """Compares all windows of frames of a clip with all windows of its sound."""
    frames = torch.from_numpy(face.frames).permute(3, 0, 1, 2)
    windows = frames.unfold(1, expert.num_frames, 1).permute(1, 0, 4, 2, 3)
    mel = mel_spectrogram(face.samples)
    sounds = mel_windows(mel, range(len(windows)), FPS, expert.mel_steps)
    with evaluation_mode(expert):
        cosines = expert.embed_frames(windows) @ expert.embed_mel(sounds).T
    places = np.arange(len(windows))
    shift = np.abs(places[:, None] - places)
    values = cosines.double().numpy()
    in_sync, shifted = (
        values[shift == 0],
        values[(shift >= MIN_SHIFT) & (shift <= MAX_SHIFT)],
    )
    accuracy = ((in_sync > 0.5).mean() + (shifted <= 0.5).mean()) / 2
    labels = np.repeat([1, 0], [len(in_sync), len(shifted)])
    auc = roc_auc_score(labels, np.concatenate([in_sync, shifted]))
    return ClipAccuracy(float(accuracy), float(auc))


def offsets_found(expert: SyncExpert, faces: Sequence[TalkingFace]) -> dict[str, int]:
    """Returns how often a shift of the sound, by -10 to 10 frames, is found exactly."""
    found = [
        reading is not None and reading.offset == shift
        for face in faces
        for shift in SHIFTS
        for reading in [measure_video(expert, shift_sound(face, shift))]
    ]
    return {"found": sum(found), "of": len(found)}


def with_interval(values: Sequence[float]) -> dict[str, Any]:
    """Returns the mean of clips, and its interval of 95 % by bootstrap over clips."""
    mean = float(np.mean(values))
    if len(values) < 5 or len(set(values)) == 1:
        return {"value": mean, "interval": None, "clips": len(values)}
    drawn = bootstrap((np.asarray(values),), np.mean, method="percentile", rng=0)
    ends = [float(end) for end in drawn.confidence_interval]
    ends_or_none = ends if all(map(math.isfinite, ends)) else None
    return {"value": mean, "interval": ends_or_none, "clips": len(values)}


def score_expert(expert: SyncExpert, faces: Sequence[TalkingFace]) -> dict[str, Any]:
    """Returns accuracy and AUC over clips, with intervals."""
    scores = [clip_accuracy(expert, face) for face in faces]
    return {
        "accuracy": with_interval([score.accuracy for score in scores]),
        "auc": with_interval([score.auc for score in scores]),
    }
