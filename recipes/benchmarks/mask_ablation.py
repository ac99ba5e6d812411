"""Ablation of the masks on real clips, probed on labels that no training has seen.

    python recipes/benchmarks/mask_ablation.py DATA --work ablation
    python recipes/benchmarks/mask_ablation.py DATA --work ablation --steps 2000

DATA is a folder as `faces.py` needs it: `videos/` and `more_videos/` to pretrain on,
and `labelled/grid_sentences/` with clips of the GRID corpus and `labels.csv`. Tiny
models are pretrained by Fasking, tube, random and CRFR-P masks with three seeds each,
at 112 pixels and without a critic, through `recipes/ablate.py`, and probed on

- the labels of 96 demo clips (talking, smile, brow, nod);
- GRID's speakers: the probe is fitted on the first second of each clip, chosen on the
  second and tested on the third;
- GRID's commands (bin, lay, place, set), with nine sentences in grouped folds.

Random initialisation, pixels and the constant predictor are rows of the table. `--work`
keeps stores, labels, and the cells of each number of steps; the same command goes on
where it was killed.

Writes results/mask_ablation-<machine>.json and a picture for each probe.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablation_run import run_ablation
from running import run_recipe

from lightly_marlin.evaluation.results.table_files import write_csv

RESULTS = Path(__file__).parent / "results"
GRID_CORPUS = "labelled/grid_sentences"
MASKS = ("fasking", "tube", "random", "crfrp")
DEMO_CLIPS = 96


def prepare_stores(data: Path, work: Path) -> tuple[Path, Path]:
    """Returns the stores of the clips to pretrain on and of the GRID corpus."""
    clips, corpus = work / "store", work / "grid_store"
    run_recipe("preprocess_faces.py", f"{data}/*videos/*", clips)
    run_recipe("preprocess_faces.py", data / GRID_CORPUS, corpus)
    return clips, corpus


def write_labels(data: Path, work: Path) -> tuple[Path, Path]:
    """Returns tables of the GRID corpus: a second an item, and a clip an item."""
    with (data / GRID_CORPUS / "labels.csv").open(newline="") as file:
        clips = list(csv.DictReader(file))
    speakers = work / "speakers.csv"
    write_csv(speakers, list(speaker_rows(clips)))
    commands = work / "commands.csv"
    write_csv(
        commands,
        [{"video": clip["video"], "command": clip["command"]} for clip in clips],
    )
    return speakers, commands


def speaker_rows(clips: Sequence[Mapping[str, str]]) -> Iterator[dict[str, object]]:
    """Yields a row a second of each clip, with the split that it belongs to."""
    for clip in clips:
        for second, split in enumerate(("train", "val", "test")):
            yield {
                "video": clip["video"],
                "start": second,
                "end": second + 1,
                "split": split,
                "speaker": clip["speaker_by_eye"],
            }


def grid_of(
    stores: tuple[Path, Path], labels: tuple[Path, Path], steps: int, seeds: int
) -> dict[str, Any]:
    """Returns the content of the grid file of `ablate.py`."""
    clips, corpus = (str(store.resolve()) for store in stores)
    speakers, commands = (str(table.resolve()) for table in labels)
    return {
        "pretrain": {
            "model": "marlin_vit_tiny",
            "store": clips,
            "image_size": 112,
            "batch_size": 8,
            "warmup_steps": steps // 10,
            # The critic takes most of a step of the tiny model.
            "adversarial_weight": 0.0,
            "schedule_steps": steps,
            "validate_every": steps,
            "log_every": 20,
        },
        "grid": {"mask": list(MASKS)},
        "seeds": list(range(seeds)),
        "probes": {
            "demo": {"demo_clips": DEMO_CLIPS},
            "speaker": {"labels": speakers, "store": corpus, "column": ["speaker"]},
            "command": {"labels": commands, "store": corpus, "column": ["command"]},
        },
        "baselines": ["random", "pixels"],
    }


def main() -> None:
    """Runs the ablation and copies its tables and plots to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of face videos")
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)

    stores = prepare_stores(options.data, options.work)
    labels = write_labels(options.data, options.work)
    content = grid_of(stores, labels, options.steps, options.seeds)
    facts = {"steps": options.steps, "demo_clips": DEMO_CLIPS}
    run_ablation(
        "mask_ablation",
        content,
        # An ablation refuses other settings in its folder.
        options.work / f"ablation_{options.steps}",
        options.results,
        facts,
        hidden=(options.work, options.data),
    )


if __name__ == "__main__":
    main()
