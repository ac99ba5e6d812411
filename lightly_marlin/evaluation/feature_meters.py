"""Meters of the features during pretraining, on clips of tracks without labels.

A loss may fall while features collapse and rise while they improve, above all one whose
target the encoder makes itself: these numbers tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.evaluation.encoder_monitor import EncoderMonitor
from lightly_marlin.evaluation.metrics.alignment import alignment, uniformity
from lightly_marlin.evaluation.metrics.identity_knn import identity_knn
from lightly_marlin.evaluation.metrics.lidar import lidar
from lightly_marlin.evaluation.metrics.monitors import feature_std, rankme
from lightly_marlin.evaluation.track_clips import TrackClips
from lightly_marlin.features.batching import WindowEncoder
from lightly_marlin.features.window_model import (
    AnyModel,
    device_and_dtype,
    encoder_of,
)
from lightly_marlin.models import MarlinEncoder

__all__ = ["METERS_COLUMNS", "FeatureMeters", "measure_features", "track_features"]

METERS_COLUMNS = (
    "step",
    "rankme",
    "rankme_centred",
    "lidar",
    "feature_std",
    "alignment",
    "uniformity",
    "identity_knn",
    "tracks",
    "clips",
)
"""Columns of meters.csv: the meters, and of how many tracks and clips they are."""


class FeatureMeters(EncoderMonitor):
    """Measures the features of the same clips before, every n steps and at the end.

    Writes a row of meters.csv, see `measure_features`, and logs it as "meters/rankme"
    and so on. Encodes whole clips in float32, without masks and in evaluation mode. See
    `EncoderMonitor`: the training stays bit-identical. Only these aggregates are
    written, never the features of a person.

    Args:
        path: The CSV file.
        encoder: Encoder that is being trained.
        clips: Clips of tracks that are not trained on.
        every: Steps between two rows.
    """

    name = "meters"

    def __init__(
        self,
        path: Path | str,
        encoder: MarlinEncoder,
        clips: TrackClips,
        *,
        every: int,
    ) -> None:
        super().__init__(path, METERS_COLUMNS, encoder, every=every)
        self.clips = clips

    def compute(self) -> dict[str, float]:
        """Returns the columns of meters.csv but for the step."""
        features = track_features(self.encoder, self.clips)
        if not features.isfinite().all():
            # Finite weights may still be so large that sums of them are not.
            return dict.fromkeys(METERS_COLUMNS[1:], float("nan"))
        return dict(measure_features(features))


def track_features(model: AnyModel, clips: TrackClips) -> Tensor:
    """Encodes the clips of tracks in float32, under autocast as well.

    Args:
        model: An encoder on any device, in any mode, which it keeps.
        clips: The clips.

    Returns:
        float32 tensor (n, q, D) on the CPU: features of q clips of each of n tracks.
    """
    device, _ = device_and_dtype(encoder_of(model))
    encoder: WindowEncoder[int] = WindowEncoder(model)
    size = encoder_of(model).config.img_size
    rows: list[Tensor] = []
    with torch.autocast(device.type, enabled=False):
        for index in range(len(clips)):
            for clip in fit_frames(clips[index], size).numpy():
                found = encoder.add(index, clip.transpose(1, 2, 3, 0))
                rows += [vector for _, vector in found]
        rows += [vector for _, vector in encoder.flush()]
    return torch.stack(rows).reshape(len(clips), clips.num_clips, -1)


def measure_features(features: Tensor) -> Mapping[str, float]:
    """Returns the meters of features that need no labels.

    Args:
        features: Floating-point tensor (n, q, D): q clips of each of n tracks, both at
            least 2.

    Returns:
        By name, in the order of `METERS_COLUMNS`:

        - `rankme`, `rankme_centred`, `feature_std`: of all clips;
        - `lidar`, `alignment`, `identity_knn`: of clips in their tracks;
        - `uniformity`: of one clip of each track, in the mean over the q choices;
        - `tracks` and `clips`: n and n q. All ranks are at most these.

    Raises:
        ValueError: If n or q is less than 2, or a feature is not finite.
    """
    every = features.flatten(0, 1)
    evenness = [uniformity(clips) for clips in features.unbind(1)]
    return {
        "rankme": rankme(every),
        "rankme_centred": rankme(every, centred=True),
        "lidar": lidar(features),
        "feature_std": feature_std(every),
        "alignment": alignment(features),
        "uniformity": sum(evenness) / len(evenness),
        "identity_knn": identity_knn(features),
        "tracks": len(features),
        "clips": len(every),
    }
