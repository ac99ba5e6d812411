"""Predictions of a fine-tuned model for the faces in videos."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.tuning.tuned_model import TunedModel
from lightly_marlin.features import ExtractionOptions, FolderSummary, extract_folder
from lightly_marlin.features.feature_ledger import FeatureRow
from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.store.format import CROP_SIZE
from lightly_marlin.utils.files import atomic_write

__all__ = ["PredictedWindow", "predict_folder", "write_predictions"]

WINDOWS_NAME = "windows"
PREDICTIONS_NAME = "predictions.csv"
VIDEOS_NAME = "videos.csv"


@dataclass(frozen=True, eq=False)
class PredictedWindow:
    """Prediction for a window of a face.

    Attributes:
        video: Path of the video relative to the named folder.
        track: Number of the face track in the video.
        start: First second, after the video's first frame.
        end: Second at which the window ends.
        scores: float32 array (K,): probabilities or values.
    """

    video: str
    track: int
    start: float
    end: float
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Sizes:
    """Sizes of a model whose features are scores; see `WindowConfig`."""

    num_frames: int
    encoder_dim: int
    target: Target
    # The crops of a store, which the model resizes as in training.
    img_size: int = CROP_SIZE
    num_tokens: int = 1
    grid: tuple[int, int, int] = (1, 1, 1)


class _Scores(nn.Module):
    """A tuned model as a `WindowModel`: extraction does the rest."""

    def __init__(self, model: TunedModel) -> None:
        super().__init__()
        self.model = model
        target = model.target
        frames = model.encoder.config.num_frames
        self.config = _Sizes(frames, target.num_outputs, target)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the scores (B, K) of clips."""
        return self.model.target.scores(self.model(images).float())

    def encode(self, images: Tensor) -> Tensor:
        """Returns the scores as those of a single token, (B, 1, K)."""
        scores: Tensor = self(images)
        return scores[:, None]


def predict_folder(
    model: TunedModel,
    videos: Path | str,
    out: Path | str,
    *,
    crops: CropOptions | None = None,
    all_faces: bool = False,
    batch_size: int | None = None,
    num_workers: int | None = 0,
) -> tuple[FolderSummary, list[PredictedWindow]]:
    """Predicts the windows of the faces in videos.

    It may be killed at any moment: run again, it processes only videos that are missing
    or changed.

    Args:
        model: The model, in evaluation mode, on any device.
        videos: A folder (searched recursively), one file, or a glob pattern.
        out: Folder of the predictions, and of what is kept of finished videos.
        crops: Options of search and crops; those of the model's training if left out.
        all_faces: Predict every face, not only the main one.
        batch_size: Windows that are encoded together, see `WindowEncoder`.
        num_workers: Processes that read and crop, as for `extract_folder`.

    Returns:
        The outcome of every video, and all windows by video, track and time.

    Raises:
        UsageError: A ValueError, if there are no videos, the crop options are unknown,
            or `out` cannot be written.
    """
    crops = model.crop_options if crops is None else crops
    options = ExtractionOptions(
        crop_face=True,
        all_faces=all_faces,
        sample_rate=model.sample_rate,
        stride=model.encoder.config.num_frames,
        **vars(crops),
    )
    folder = Path(out) / WINDOWS_NAME
    summary = extract_folder(
        _Scores(model),
        videos,
        folder,
        options=options,
        batch_size=batch_size,
        num_workers=num_workers,
    )
    windows = []
    for record in summary.records:
        if record.file is None or not record.rows:
            continue
        scores = np.load(folder / record.file)
        for row in record.rows:
            start, end = _span(row)
            track = int(row.track_id.rsplit("_", 1)[1])
            windows.append(
                PredictedWindow(record.source, track, start, end, scores[row.row])
            )
    return summary, windows


def _span(row: FeatureRow) -> tuple[float, float]:
    """Returns first and last second; windows that follow one another touch."""
    start = row.start_seconds
    middle = start if row.middle_seconds is None else row.middle_seconds
    last = 2 * middle - start
    steps = max(1, row.num_frames - 1)
    return start, last + (last - start) / steps


def write_predictions(
    out: Path | str,
    target: Target,
    summary: FolderSummary,
    windows: Sequence[PredictedWindow],
) -> None:
    """Writes predictions.csv, a row per window, and videos.csv, a row per video.

    The scores of a video are the means over its windows, of all its faces.

    Args:
        out: The folder; it exists.
        target: Kind and names of the labels: the columns.
        summary: Outcome of every video.
        windows: The windows.
    """
    out = Path(out)
    names = list(target.names)
    header = ["video", "track", "start_seconds", "end_seconds", *names]
    rows = [
        [w.video, w.track, f"{w.start:.3f}", f"{w.end:.3f}", *_texts(w.scores)]
        for w in windows
    ]
    _write_csv(out / PREDICTIONS_NAME, header, rows)
    of_video = defaultdict(list)
    for window in windows:
        of_video[window.video].append(window.scores)
    rows = []
    for record in summary.records:
        scores = of_video.get(record.source)
        mean = [""] * len(names)
        if scores is not None:
            mean = _texts(np.mean(np.stack(scores).astype(np.float64), axis=0))
        count = 0 if scores is None else len(scores)
        reason = record.reason or ""
        rows.append([record.source, record.status, count, *mean, reason])
    header = ["video", "status", "windows", *names, "reason"]
    _write_csv(out / VIDEOS_NAME, header, rows)


def _texts(scores: Iterable[float]) -> list[str]:
    return [f"{score:.6g}" for score in scores]


def _write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
