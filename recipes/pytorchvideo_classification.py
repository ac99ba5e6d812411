"""Fine-tunes a MARLIN encoder on labelled videos, with PyTorchVideo from end to end.

    pip install ".[video]"
    python recipes/pytorchvideo_classification.py labels.csv --column command

LABELS is a CSV file with a column "video", paths relative to the file, and a column of
labels. PyTorchVideo's `LabeledVideoDataset` and clip samplers read the videos,
`MarlinTransform` makes clips of them, and a `Net` of PyTorchVideo joins
`create_marlin_encoder` and a linear head. OUT holds metrics.csv, predictions.csv and
model.pt.

Limitations: the whole frame is squeezed to 224x224, so for good results crop the faces
first (preprocess_faces.py); predictions are on the training videos; and PyTorchVideo
skips what it cannot decode without a message, so each video is tried first, and those
that fail are named and left out. It also ignores display matrices, which are applied
here; pixels that are not square stay so, and no video may change its size.

- [0]: PyTorchVideo, 2021, https://arxiv.org/abs/2111.09887
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

from lightly_marlin.models import create_marlin_encoder, list_models, load_weights
from lightly_marlin.training import LoopLog, LoopOptions, loop_parser
from lightly_marlin.transforms import MarlinTransform
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video.display import Orientation, orientation_of

CLIP_SECONDS = 1.28  # 16 frames at stride 2 of 25 frames a second
MAX_CLASSES = 1000
PURPOSE = "Training with PyTorchVideo"

LabelledVideos = list[tuple[str, dict[str, Any]]]


def read_labels(path: Path, column: str) -> tuple[LabelledVideos, list[str]]:
    """Returns paths with class numbers, as PyTorchVideo takes them, and class names."""
    try:
        # Excel and Notepad begin with a byte-order mark.
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"The labels {path} cannot be read: {error}") from error
    if not rows or not {"video", column} <= rows[0].keys():
        found = ", ".join(rows[0]) if rows else "no row"
        raise UsageError(
            f"The labels {path} need the columns video and {column}, got {found}."
        )
    classes = sorted({row[column] or "" for row in rows})
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise UsageError(
            f"The column {column} of {path} has {len(classes)} different values; 2 to "
            f"{MAX_CLASSES} classes are supported."
        )
    labelled = [
        (str(path.parent / row["video"]), {"label": classes.index(row[column])})
        for row in rows
    ]
    return labelled, classes


def leave_out_broken(labelled: LabelledVideos) -> LabelledVideos:
    """Tries to decode each video; reports those that fail.

    Returns:
        The others, each with its "orientation" beside the label.

    Raises:
        UsageError: If none can be decoded.
    """
    encoded_video = require("pytorchvideo.data.encoded_video", PURPOSE).EncodedVideo
    good = []
    for path, info in labelled:
        try:
            clip = encoded_video.from_path(path, decode_audio=False).get_clip(0.0, 1.0)
            reason = None if clip and clip["video"] is not None else "no frame decoded"
            orientation = read_orientation(path) if reason is None else None
        except Exception as error:
            # Decoders raise many kinds of exceptions for such files.
            reason = str(error)
        if reason is None:
            good.append((path, {**info, "orientation": orientation}))
        else:
            console.print(f"left out {path}: {' '.join(reason.split())}")
    if not good:
        raise UsageError(f"None of the {len(labelled)} videos can be decoded.")
    return good


def read_orientation(path: str) -> Orientation:
    """Returns how players lay the pictures of a video down."""
    with require("av", PURPOSE).open(path) as container:
        matrix = next(container.decode(video=0)).side_data.get("DISPLAYMATRIX")
    return orientation_of(None if matrix is None else bytes(matrix))


def make_loader(
    labelled: LabelledVideos, batch_size: int, transform: MarlinTransform, clips: str
) -> Any:
    """Returns a loader of clips (B, 3, 16, H, W) with label and video_index.

    With clips="random", one clip of each video, in random order; with "uniform", all
    adjacent clips of each video, in order.
    """
    data = require("pytorchvideo.data", PURPOSE)
    dataset = data.LabeledVideoDataset(
        labelled,
        data.make_clip_sampler(clips, CLIP_SECONDS),
        video_sampler=RandomSampler if clips == "random" else SequentialSampler,
        transform=partial(first_view, transform),
        decode_audio=False,
    )
    return DataLoader(dataset, batch_size=batch_size)


def first_view(transform: MarlinTransform, sample: dict[str, Any]) -> dict[str, Any]:
    """Returns the one view of `MarlinTransform`'s list, of frames as players show them.

    Args:
        transform: The transform.
        sample: Sample of PyTorchVideo: "video" (3, T, H, W), float in [0, 255], as it
            is stored, and "orientation".
    """
    orientation = sample.pop("orientation")
    video = sample["video"]
    if orientation.transposed:
        video = video.transpose(2, 3)
    axes = {3: orientation.mirrored_x, 2: orientation.mirrored_y}
    sample["video"] = video.flip([axis for axis, mirrored in axes.items() if mirrored])
    return dict(transform(sample)[0])


@torch.no_grad()
def predict(
    model: nn.Module, loader: Any, num_videos: int, device: torch.device
) -> Any:
    """Returns mean class probabilities (videos, classes) over each video's clips."""
    total: Any = 0.0
    for batch in loader:
        scores = model(batch["video"].to(device)).softmax(dim=-1).cpu()
        rows = F.one_hot(batch["video_index"], num_videos).float()
        total = total + rows.T @ scores
    return total / total.sum(dim=1, keepdim=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as specified on the command line; returns the exit status."""
    parser = loop_parser(
        "Fine-tune a MARLIN encoder on labelled videos.",
        max_steps=60,
        batch_size=4,
        learning_rate=3e-4,
        out="run_classification",
    )
    parser.add_argument("labels", metavar="LABELS", type=Path, help="CSV file")
    parser.add_argument("--column", default="label", help="of labels, default: label")
    parser.add_argument(
        "--model", default="marlin_vit_tiny", help=f"one of {', '.join(list_models())}"
    )
    parser.add_argument("--weights", help="of a pretrained model, default: random")
    parser.add_argument(
        "--input-size",
        type=int,
        default=224,
        help="side of a clip in pixels, a multiple of 16, default: 224",
    )
    given = vars(parser.parse_args(arguments))
    labels, column, name, weights, size = map(
        given.pop, ("labels", "column", "model", "weights", "input_size")
    )
    options = LoopOptions(**given)
    torch.manual_seed(options.seed)
    random.seed(options.seed)  # PyTorchVideo's random clips
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    labelled, classes = read_labels(labels, column)
    encoder = create_marlin_encoder(name, img_size=size)
    head = nn.Linear(encoder.embed_dim, len(classes))
    net = require("pytorchvideo.models.net", PURPOSE)
    model = net.Net(blocks=nn.ModuleList([encoder, head]))
    if weights is not None:
        # Net reinitialises all linear layers, so weights are loaded afterwards.
        load_weights(model.blocks[0], weights)
    labelled = leave_out_broken(labelled)
    log = LoopLog(options)
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate)
    transform = MarlinTransform(input_size=size, pixel_range=255.0)
    training = make_loader(labelled, options.batch_size, transform, "random")
    for batch in log.steps(training):
        scores = model(batch["video"].to(device))
        loss = F.cross_entropy(scores, batch["label"].to(device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        # With so few clips in a step, a single one can cause a large gradient.
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        log.loss(loss)

    whole = make_loader(labelled, options.batch_size, transform, "uniform")
    scores = predict(model.eval(), whole, len(labelled), device)
    best = scores.argmax(dim=1).tolist()
    right = sum(info["label"] == i for (_, info), i in zip(labelled, best, strict=True))
    predictions = options.out / "predictions.csv"
    with predictions.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("video", column, "predicted"))
        for (path, info), index in zip(labelled, best, strict=True):
            writer.writerow((path, classes[info["label"]], classes[index]))
    torch.save(model.state_dict(), options.out / "model.pt")
    console.print(
        f"{right} of {len(labelled)} videos classified correctly (training accuracy)"
    )
    log.summarise(options.out / "model.pt")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "video"))
