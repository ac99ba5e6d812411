"""Predicts labels of the faces in videos with a fine-tuned model.

    python recipes/predict.py VIDEOS OUT --model tuned/model
    python recipes/predict.py VIDEOS OUT --model tuned/model --overlay

Features:
- VIDEOS is a folder (searched recursively), one file, or a glob pattern in quotes.
- The main face of every video is found, followed and cropped with the options that the
  model was trained with; --all-faces predicts every face.
- OUT/predictions.csv has a row per window: video, track, first and last second, and a
  column per label with its probability (of a regression, its value). OUT/videos.csv has
  a row per video: status, number of windows, means over them, and the reason where
  there is none.
- --overlay writes OUT/overlay/VIDEO with the box of each face and the highest
  labels; it looks for the faces a second time.
- Resumable: kill it at any moment and run the same command again; OUT/windows keeps
  what is finished.
- --workers processes read and crop, by default one per core.

Predictions about faces concern people: ask for their consent, and check the model on
people like them.

Exit status: 0 when done, even if some of the videos could not be used (they are listed
with their reasons); 2 for bad arguments or models, or when no video gave a prediction.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lightly_marlin.features.window_arguments import add_window_arguments
from lightly_marlin.store.crop_arguments import add_crop_arguments, crop_options
from lightly_marlin.utils.arguments import RecipeParser
from lightly_marlin.utils.console import console, progress, run_recipe
from lightly_marlin.utils.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from lightly_marlin.evaluation import TunedModel
    from lightly_marlin.evaluation.tuning.predict_folder import PredictedWindow
    from lightly_marlin.preparation.video_faces import VideoFaces
    from lightly_marlin.store.crop_options import CropOptions
    from lightly_marlin.visualization.prediction_overlay import FacePrediction

OVERLAY_NAME = "overlay"
CROP_FLAGS = ("min_face", "detector", "align_eyes", "crops_like")


def main(arguments: Sequence[str] | None = None) -> int:
    """Predicts as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the input cannot be used, or no video gave a prediction.
    """
    options = parse_arguments(arguments)
    from lightly_marlin.evaluation import TunedModel
    from lightly_marlin.evaluation.tuning.predict_folder import (
        predict_folder,
        write_predictions,
    )
    from lightly_marlin.utils.device import choose_device

    device = choose_device(options.device)
    model = TunedModel.from_pretrained(options.model).to(device)
    crops = choose_crops(options, model)
    summary, windows = predict_folder(
        model,
        options.videos,
        options.out,
        crops=crops,
        all_faces=options.all_faces,
        batch_size=options.batch_size,
        num_workers=options.workers,
    )
    write_predictions(options.out, model.target, summary, windows)
    summary.show_reasons(summary.with_reason(), "videos.csv")
    more = [("tracks", f"{summary.num_tracks}"), ("windows", f"{len(windows)}")]
    console.print(summary.table("Prediction", more))
    if not windows:
        raise UsageError(
            f"None of the {len(summary.records)} videos gave a prediction. The reasons "
            f"are listed above and in {options.out}/videos.csv."
        )
    if options.overlay:
        write_overlays(options, model, crops, windows)
    text = f"The predictions are in {options.out}"
    console.print(text, markup=False, soft_wrap=True)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Predict labels of the faces in videos.")
    add = parser.add_argument
    add_window_arguments(parser, "predictions")
    add(
        "--model",
        required=True,
        metavar="TUNED",
        help="folder model/ of finetune.py, or repository of the Hub",
    )
    add("--overlay", action="store_true", help="write videos with the predictions")
    add("--all-faces", action="store_true", help="predict every face")
    add_crop_arguments(parser)
    return parser.parse_args(arguments)


def choose_crops(options: argparse.Namespace, model: TunedModel) -> CropOptions:
    """Returns the crop options that were given, or those of the model's training."""
    if any(getattr(options, name) is not None for name in CROP_FLAGS):
        return crop_options(options)
    crops: CropOptions = model.crop_options
    return crops


def write_overlays(
    options: argparse.Namespace,
    model: TunedModel,
    crops: CropOptions,
    windows: Sequence[PredictedWindow],
) -> None:
    """Writes a video with the predictions for each one that has any."""
    from lightly_marlin.preparation import find_videos
    from lightly_marlin.preparation.video_faces import find_video_faces
    from lightly_marlin.video import write_video

    of_video: dict[str, list[PredictedWindow]] = defaultdict(list)
    for window in windows:
        of_video[window.video].append(window)
    files = find_videos(options.videos, exclude=options.out)
    with progress() as bar:
        task = bar.add_task("overlays", total=len(of_video), unit="videos")
        for file in files:
            if file.source not in of_video:
                continue
            faces = find_video_faces(file.path, crops, all_faces=options.all_faces)
            name = file.source + ("" if file.source.endswith(".mp4") else ".mp4")
            path = options.out / OVERLAY_NAME / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pictures = draw_video(faces, model, of_video[file.source], options)
            write_video(path, pictures, faces.fps)
            bar.advance(task)


def draw_video(
    faces: VideoFaces,
    model: TunedModel,
    windows: Sequence[PredictedWindow],
    options: argparse.Namespace,
) -> Iterator[np.ndarray]:
    """Yields the frames of a video with its predictions, all of one size."""
    import numpy as np

    from lightly_marlin.video import VideoReader
    from lightly_marlin.visualization.prediction_overlay import draw_predictions

    tracks = faces.select(all_faces=options.all_faces)
    shape = None
    with VideoReader(faces.path) as reader:
        for index, frame in enumerate(reader):
            # A video may change its size, which its copy cannot.
            shape = shape or frame.shape
            if frame.shape != shape:
                continue
            second = float(faces.seconds[index])
            marks: list[FacePrediction] = []
            for number, track in enumerate(tracks):
                place = index - track.start_frame
                if 0 <= place < track.num_frames:
                    shown = [w.scores for w in windows if covers(w, number, second)]
                    scores = np.mean(shown, axis=0) if shown else None
                    box = track.boxes[place], float(track.angles[place])
                    marks.append(mark(model, *box, scores, number))
            yield draw_predictions(frame, marks)


def covers(window: PredictedWindow, track: int, second: float) -> bool:
    """Returns whether a window shows a track at a second."""
    return window.track == track and window.start <= second < window.end


def mark(
    model: TunedModel,
    box: np.ndarray,
    angle: float,
    scores: np.ndarray | None,
    number: int,
) -> FacePrediction:
    """Returns a face with its labels, the highest first; values in their order."""
    from lightly_marlin.visualization.prediction_overlay import FacePrediction

    target = model.target
    values = [] if scores is None else [float(score) for score in scores]
    bars = target.kind != "regression"
    pairs = list(zip(target.names, values, strict=False))
    if bars:
        pairs.sort(key=lambda pair: -pair[1])
    names, shown = [name for name, _ in pairs], [score for _, score in pairs]
    return FacePrediction(box, angle, names, shown, bars, number)


if __name__ == "__main__":
    sys.exit(run_recipe(main, "evaluation", "faces"))
