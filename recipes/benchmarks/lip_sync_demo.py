"""Benchmark of lip synchronisation from nothing: expert and generator on demo clips.

    python recipes/benchmarks/lip_sync_demo.py --work lips

Runs `train_sync_expert.py` and `train_lip_sync.py` with their defaults for the built-in
demo clips that talk, and measures both on clips that no training saw:

- the expert's accuracy at telling sound in sync from sound that is shifted by at least
  3 frames, and how often shifts of -10 to 10 frames are found exactly, on new clips;
- the generator's scores on the clips that its training held out: see docs/lip_sync.md.
  Beside them those of the same network before its training, which draws the reference's
  mouth in the target's light. Of errors of the mouth, the value of each clip.

All clips show one portrait, and its voice is noise that follows the mouth: this proves
that the parts work, not that they do on people. `--work` keeps everything; the same
command goes on where it was killed.

Writes results/lip_sync_demo-<machine>.json and the last film strip, lip_sync_demo.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from environment import describe_machine, machine_name
from running import run_recipe
from sync_accuracy import offsets_found, score_expert

from lightly_marlin.demo import open_store, write_demo_videos
from lightly_marlin.lip_sync import (
    ClipSizes,
    FixedLipClips,
    LipScores,
    SyncExpert,
    load_generator,
    score_lips,
    talking_face,
)
from lightly_marlin.lip_sync.generation.generator_settings import GeneratorSettings
from lightly_marlin.lip_sync.generation.lip_scores import StillMouths
from lightly_marlin.lip_sync.measures.tracks_in_sync import (
    measure_offsets,
    tracks_in_sync,
)
from lightly_marlin.lip_sync.talking_data import (
    TALKING_DEMO,
    split_talking,
    usable_tracks,
)
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
# Clips of the trainings have seed 0.
NEW_SEED, NUM_FRAMES = 1, 64


def timed(work: Path, recipe: str, out: Path, *options: object) -> float | None:
    """Trains unless it is done; returns the minutes, None if it was interrupted."""
    note = work / f"{out.name}.json"
    if not note.exists():
        whole, started = not out.exists(), time.monotonic()
        run_recipe(recipe, "--out", out, *options, "--resume")
        minutes = (time.monotonic() - started) / 60
        write_json(note, {"minutes": minutes if whole else None})
    taken: float | None = json.loads(note.read_text())["minutes"]
    return taken


def measure_expert(expert: SyncExpert, work: Path, clips: int) -> dict[str, Any]:
    """Returns the expert's scores on new clips."""
    videos = write_demo_videos(
        work / "new",
        num_clips=clips,
        num_frames=NUM_FRAMES,
        seed=NEW_SEED,
        talking=True,
    )
    faces = [talking_face(video) for video in videos]
    return {**score_expert(expert, faces), "offsets": offsets_found(expert, faces)}


def held_out_clips(expert: SyncExpert, run: Path, sizes: ClipSizes) -> FixedLipClips:
    """Returns the clips that the training of a generator held out."""
    store = open_store(None, **TALKING_DEMO)
    tracks = usable_tracks(store, sizes.num_frames)
    offsets = measure_offsets(expert, store, tracks, run / "offsets.csv")
    settings = GeneratorSettings()
    tracks, _ = tracks_in_sync(offsets, settings.max_offset)
    split = split_talking(store, tracks, demo=True, seed=settings.seed)
    return FixedLipClips(
        store, split.held_out, sizes, clips_per_track=settings.clips_per_track
    )


def measure_generator(expert: SyncExpert, run: Path) -> dict[str, Any]:
    """Returns the scores of a generator, and of the same network untrained."""
    trained = load_generator(run / "generator")
    assert trained.num_frames is not None
    sizes = ClipSizes(
        trained.num_frames, trained.input_size, expert.num_frames, expert.mel_steps
    )
    clips = held_out_clips(expert, run, sizes)
    still = StillMouths(clips, trained.size)
    rows = {}
    untrained = type(trained).from_settings(trained.settings())
    for name, generator in (("trained", trained), ("untrained", untrained)):
        scores = score_lips(generator, clips, still, expert)
        mouths = {
            f"{part}_of_clips": getattr(scores, part).tolist()
            for part in ("mouth", "other_mouth", "still_mouth", "reference_mouth")
        }
        rows[name] = {**LipScores.of(scores)._asdict(), **mouths}
    return rows


def main() -> None:
    """Trains, measures, and writes the result and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--clips", type=positive_integer, default=12, help="new clips")
    parser.add_argument("--expert-steps", type=positive_integer)
    parser.add_argument("--generator-steps", type=positive_integer)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    options.results.mkdir(parents=True, exist_ok=True)

    def steps(number: int | None) -> tuple[object, ...]:
        return () if number is None else ("--max-steps", number)

    expert_run, generator_run = work / "expert_run", work / "lips_run"
    minutes = {
        "expert": timed(
            work, "train_sync_expert.py", expert_run, *steps(options.expert_steps)
        )
    }
    expert = expert_run / "expert"
    generator_options = ("--expert", expert, *steps(options.generator_steps))
    minutes["generator"] = timed(
        work, "train_lip_sync.py", generator_run, *generator_options
    )
    result = {
        "suite": "lip_sync_demo",
        "machine": describe_machine(),
        "threads": torch.get_num_threads(),
        "minutes": minutes,
        "expert": measure_expert(
            SyncExpert.from_pretrained(expert), work, options.clips
        ),
        "generator": measure_generator(
            SyncExpert.from_pretrained(expert), generator_run
        ),
    }
    path = options.results / f"lip_sync_demo-{machine_name()}.json"
    write_json(path, result)
    strip = sorted((generator_run / "pictures").glob("*.png"))[-1]
    shutil.copyfile(strip, options.results / "lip_sync_demo.png")
    console.print_json(data={name: result[name] for name in ("expert", "generator")})
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
