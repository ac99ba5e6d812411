"""Benchmark of a sync expert on real speech: sentences that it did not train on.

    python recipes/benchmarks/lip_sync_real.py DATA --expert E --work real

DATA is a folder as `faces.py` needs it, with `labelled/grid_sentences`: sentences of
the GRID corpus, their speakers in labels.csv. In three folds, no speaker on both sides,
an expert that was trained on demo clips goes on, by `train_sync_expert.py`, on the
other sentences and on all videos of DATA with speech. It is measured on the sentences
held out: accuracy and area under the ROC at telling sound in sync from sound that is
shifted by at least 3 frames. The expert before, and chance (0.5), stand beside it.

Writes results/lip_sync_real-<machine>.json.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from environment import describe_machine, machine_name
from running import run_recipe
from sync_accuracy import ClipAccuracy, clip_accuracy, with_interval

from lightly_marlin.audio import AudioError, read_audio
from lightly_marlin.lip_sync import SyncExpert, TalkingFace, talking_face
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
SENTENCES = Path("labelled") / "grid_sentences"
FOLDS = 3
LOUD = 1e-3
"""Root mean square of samples, below which nobody speaks."""


def read_speakers(data: Path) -> dict[Path, str]:
    """Returns the speakers of the sentences."""
    with (data / SENTENCES / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {data / SENTENCES / row["video"]: row["speaker_by_eye"] for row in rows}


def has_speech(video: Path) -> bool:
    """Returns whether a video has sound that is more than silence."""
    try:
        samples, _ = read_audio(video)
    except AudioError:
        return False
    return len(samples) > 0 and float(np.sqrt(np.mean(samples**2))) > LOUD


def other_videos(data: Path, sentences: Sequence[Path]) -> list[Path]:
    """Returns the videos with speech that are no sentence, nor a copy of one."""
    contents = {path.read_bytes() for path in sentences}
    found = sorted(path for path in data.glob("*videos/*") if path.is_file())
    return [
        path for path in found if path.read_bytes() not in contents and has_speech(path)
    ]


def make_fold(folder: Path, training: Sequence[Path], held_out: Sequence[Path]) -> None:
    """Writes a folder in the layout of LRS2, whose lists are the division."""
    main = folder / "main"
    for name, part in (("train", training), ("val", held_out)):
        (main / name).mkdir(parents=True, exist_ok=True)
        lines = []
        for video in part:
            place = main / name / video.name
            if not place.exists():
                shutil.copyfile(video, place)
            lines.append(f"{name}/{video.stem}\n")
        (folder / f"{name}.txt").write_text("".join(lines))


def summary(scores: Sequence[ClipAccuracy]) -> dict[str, Any]:
    """Returns the means over sentences, with intervals."""
    return {
        name: with_interval([getattr(score, name) for score in scores])
        for name in ClipAccuracy._fields
    }


def main() -> None:
    """Trains on each fold, measures, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of face videos")
    parser.add_argument("--expert", required=True, help="expert to go on from")
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--steps", type=positive_integer, default=300)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=positive_integer, default=32)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    speakers = read_speakers(options.data)
    names = sorted(set(speakers.values()))
    others = other_videos(options.data, list(speakers))
    faces: dict[Path, TalkingFace] = {path: talking_face(path) for path in speakers}
    before = SyncExpert.from_pretrained(options.expert)
    scores: dict[str, list[ClipAccuracy]] = {"before": [], "after": []}
    for fold in range(FOLDS):
        held_names = set(names[fold::FOLDS])
        held_out = [path for path, name in speakers.items() if name in held_names]
        training = [path for path in speakers if path not in held_out] + others
        data, out = options.work / f"fold_{fold}", options.work / f"run_{fold}"
        make_fold(data, training, held_out)
        lengths = ("--max-steps", options.steps, "--batch-size", options.batch_size)
        rate = ("--learning-rate", options.learning_rate)
        source = ("--data", data, "--weights", options.expert, "--out", out)
        run_recipe("train_sync_expert.py", *source, *lengths, *rate, "--resume")
        after = SyncExpert.from_pretrained(out / "expert")
        for path in held_out:
            scores["before"].append(clip_accuracy(before, faces[path]))
            scores["after"].append(clip_accuracy(after, faces[path]))
    result = {
        "suite": "lip_sync_real",
        "machine": describe_machine(),
        "steps": options.steps,
        "folds": FOLDS,
        "sentences": len(speakers),
        "speakers": len(names),
        "other_videos": len(others),
        "before": summary(scores["before"]),
        "after": summary(scores["after"]),
    }
    path = options.results / f"lip_sync_real-{machine_name()}.json"
    write_json(path, result)
    console.print_json(data={name: result[name] for name in ("before", "after")})
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
