"""Measures generated talking videos beside the real ones that they were made from.

    python recipes/evaluate_lip_sync.py --real R --generated G --out OUT
    python recipes/evaluate_lip_sync.py --real R --generated G --out OUT --syncnet P
    python recipes/evaluate_lip_sync.py --real R --generated G --out OUT --inception P

Features:
- A generated video belongs to the real one of the same path below its folder, whatever
  the suffix. Videos without a partner are named and left out.
- --syncnet syncnet_v2.model measures LSE-D, LSE-C and offset; --expert
  measures distance, confidence and offset with an expert of train_sync_expert.py, which
  are no LSE.
- --inception pt_inception-2015-12-05-6726825d.pth measures the Fréchet Inception
  distance (FID) of face crops, or of whole frames (--fid-on frames). Never compare the
  two, nor distances of different numbers of images.
- Always: L1 of the lower half of the face, of the face and of the frame, and SSIM of
  the face, at the same moments, 25 per second, with the boxes of the real face.
- Without its weights, a measure is absent, and the report says so.
- The first row is the ground truth: the real videos with their own sound. Read every
  number beside it. Intervals are of 95 %, by a bootstrap over videos.
- Resumable: what was measured is kept in OUT. Other settings need another OUT.

OUT holds results.json, videos.csv, strip.png (real, masked and generated faces) and,
with --syncnet or --expert, offsets.png: distance by offset, also of the real videos
with their sound 5 frames early, the control. By both networks, the expert's is
offsets_expert.png. settings.json and pairs/ are what a later run goes on from.

A pair of which either video has no sound or no face, is too short or unreadable is
named, and left out of both rows.

Exit status: 0 when done, even if some of the pairs could not be measured; 2 for bad
arguments, or when no pair could be.

- [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild, 2020,
  https://arxiv.org/abs/2008.10010
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightly_marlin.store.crop_arguments import add_crop_arguments, crop_options
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, one_line, progress, run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, file_sha256, write_json

if TYPE_CHECKING:
    from PIL import Image

    from lightly_marlin.lip_sync import KeptPairs, PairMeter, PairRecord, VideoPairs
    from lightly_marlin.lip_sync.measures.pair_summary import MeasuredRow

SCHEMA = 1
NUM_CONTROLS = 8
NUM_STRIPS = 3
NUM_NAMED = 20

MISSING = {
    "syncnet": "LSE: not measured, no --syncnet",
    "inception": "FID: not measured, no --inception",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluates as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If the input cannot be used, or no pair could be measured.
    """
    options = parse_arguments(arguments)
    from lightly_marlin.evaluation.results.table_files import write_csv
    from lightly_marlin.lip_sync import KeptPairs, pair_videos, summarise_pairs
    from lightly_marlin.lip_sync.measures.pair_table import show, video_rows

    started = time.monotonic()
    videos = pair_videos(options.real, options.generated)
    meter = build_meter(options)
    settings = settings_of(options, meter)
    with KeptPairs(options.out, settings) as kept:
        name_partnerless(videos)
        records = measure_all(meter, kept, videos)
        done = [record for record in records if not record.reason]
        if not done:
            raise UsageError(
                f"None of the {len(records)} pairs could be measured: "
                f"{records[0].name}: {records[0].reason}."
            )
        rows = summarise_pairs(records)
        missing = [text for name, text in MISSING.items() if settings[name] is None]
        notes = add_fid(rows, kept, done, meter)
        show(rows, len(done))
        for line in (*missing, *notes):
            console.print(line, style="yellow", markup=False, soft_wrap=True)
        try:
            write_pictures(kept, done)
            write_csv(options.out / "videos.csv", video_rows(records))
            report = {
                "schema": SCHEMA,
                "task": "lip_sync",
                "protocol": settings,
                "data": describe(videos, records),
                "rows": plain_rows(rows),
                "notes": [*missing, *notes],
                "seconds": round(time.monotonic() - started, 1),
            }
            write_json(options.out / "results.json", report)
        except OSError as error:
            raise UsageError(
                f"{options.out} cannot be written: {error.strerror or error}."
            ) from error
    console.print(f"The results are in {options.out}", markup=False, soft_wrap=True)
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(
        description="Measure generated talking videos beside the real ones."
    )
    add = parser.add_argument
    add("--real", required=True, metavar="DIR", help="folder of the real videos")
    add(
        "--generated",
        required=True,
        metavar="DIR",
        help="folder of the generated videos, named as the real ones",
    )
    add("--out", required=True, type=Path, metavar="OUT", help="folder to write to")
    add("--syncnet", type=Path, metavar="P", help="published syncnet_v2.model")
    add("--expert", metavar="W", help="folder expert/ of train_sync_expert.py")
    add(
        "--inception",
        type=Path,
        metavar="P",
        help="published pt_inception-2015-12-05-6726825d.pth",
    )
    add(
        "--fid-on",
        choices=("faces", "frames"),
        help="images that the FID compares (default: faces)",
    )
    add(
        "--max-seconds",
        type=positive_integer,
        default=60,
        metavar="S",
        help="seconds of the face to measure, from where it appears (default: 60)",
    )
    add("--device", default="auto", help="such as cpu or cuda:1 (default: a GPU)")
    add_crop_arguments(parser)
    options = parser.parse_args(arguments)
    if options.fid_on is not None and options.inception is None:
        raise UsageError("--fid-on needs the network of the FID: --inception P.")
    return options


def build_meter(options: argparse.Namespace) -> PairMeter:
    """Returns what measures a pair, with the networks that were named."""
    from lightly_marlin.lip_sync import FidInception, PairMeter, SyncExpert, SyncNet
    from lightly_marlin.utils.device import choose_device

    device = choose_device(options.device)
    networks: dict[str, Any] = {}
    if options.syncnet is not None:
        networks["syncnet"] = SyncNet.from_file(options.syncnet).to(device)
    if options.expert is not None:
        networks["expert"] = SyncExpert.from_pretrained(options.expert).to(device)
    if options.inception is not None:
        networks["inception"] = FidInception.from_file(options.inception).to(device)
    return PairMeter(
        **networks,
        fid_on=options.fid_on or "faces",
        crops=crop_options(options),
        max_seconds=options.max_seconds,
    )


def settings_of(options: argparse.Namespace, meter: PairMeter) -> dict[str, Any]:
    """Returns what the numbers depend on, by names of options."""
    from lightly_marlin.models.weights.source import locate

    def weights(given: Path | str | None) -> dict[str, str] | None:
        if given is None:
            return None
        return {"name": Path(given).name, "sha256": file_sha256(locate(given))}

    return {
        "real": str(Path(options.real)),
        "generated": str(Path(options.generated)),
        "syncnet": weights(options.syncnet),
        "expert": weights(options.expert),
        "inception": weights(options.inception),
        "fid_on": meter.fid_on if meter.inception is not None else None,
        "max_seconds": options.max_seconds,
        **meter.crops.crops(),
    }


def name_partnerless(videos: VideoPairs) -> None:
    """Names the videos that are in one folder alone."""
    lines = [
        *(f"{one_line(name)}: no real video" for name in videos.only_generated),
        *(f"{one_line(name)}: no generated video" for name in videos.only_real),
    ]
    say([f"left out: {line}" for line in lines])


def measure_all(
    meter: PairMeter, kept: KeptPairs, videos: VideoPairs
) -> list[PairRecord]:
    """Measures the pairs that are not kept yet."""
    records, done = [], 0
    with progress() as bar:
        task = bar.add_task("measuring", total=len(videos.pairs), unit="pairs")
        for pair in videos.pairs:
            record = kept.load(pair)
            if record is None:
                measures = meter.measure(
                    pair, control=done < NUM_CONTROLS, strip=done < NUM_STRIPS
                )
                kept.save(pair, measures)
                record = measures.record
            records.append(record)
            done += not record.reason
            bar.advance(task)
    said = [
        *(f"left out: {one_line(r.name)}: {r.reason}" for r in records if r.reason),
        *(f"{one_line(r.name)}: {note}" for r in records for note in r.notes),
    ]
    say(said)
    return records


def say(lines: Sequence[str]) -> None:
    """Prints lines, up to 20 of them."""
    for line in lines[:NUM_NAMED]:
        console.print(one_line(line), markup=False, soft_wrap=True)
    if len(lines) > NUM_NAMED:
        console.print(f"and {len(lines) - NUM_NAMED} more, see results.json")


def add_fid(
    rows: dict[str, MeasuredRow],
    kept: KeptPairs,
    done: Sequence[PairRecord],
    meter: PairMeter,
) -> list[str]:
    """Adds the FID of all generated images and all real ones; returns warnings."""
    if meter.inception is None:
        return []
    import torch

    from lightly_marlin.lip_sync import feature_fid
    from lightly_marlin.lip_sync.measures.pair_summary import Mean

    names = [record.name for record in done]
    real, generated = (
        map(torch.from_numpy, kept.arrays(names, f"inception/{side}")) for side in rows
    )
    name = f"fid_{meter.fid_on}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            value = feature_fid(real, generated, meter.inception.num_features)
        except ValueError as error:
            return [f"FID: not measured, {error}"]
    rows["real"][name] = Mean(0.0, None, len(done))
    rows["generated"][name] = Mean(value, None, len(done))
    return [str(one.message) for one in caught]


def write_pictures(kept: KeptPairs, done: Sequence[PairRecord]) -> None:
    """Writes the curves of distance by offset, and the film strip."""
    pictures: dict[str, Image.Image] = {}
    for network in ("syncnet", "expert"):
        picture = draw_offsets(kept, done, network)
        if picture is not None:
            name = "offsets_expert.png" if "offsets.png" in pictures else "offsets.png"
            pictures[name] = picture
    strip = draw_strip(kept, done)
    if strip is not None:
        pictures["strip.png"] = strip
    for name, picture in pictures.items():
        with atomic_write(kept.folder / name) as temporary:
            picture.save(temporary, format="PNG")


def draw_offsets(
    kept: KeptPairs, done: Sequence[PairRecord], network: str
) -> Image.Image | None:
    """Draws mean distances by offset; None if the network measured nothing."""
    import numpy as np

    from lightly_marlin.lip_sync.measures.pair_measures import CONTROL_SHIFT
    from lightly_marlin.visualization import sync_curve

    names, curves = [record.name for record in done], {}
    for side in ("real", "generated", "shifted"):
        found = [*kept.arrays(names, f"{network}/{side}")]
        if found:
            name = side
            if side == "shifted":
                name = (
                    f"real, sound {CONTROL_SHIFT} frames early (videos: {len(found)})"
                )
            curves[name] = np.mean(found, axis=0)
    if not curves:
        return None
    by = "SyncNet" if network == "syncnet" else "the expert"
    return sync_curve(curves, f"mean distance by {by} (videos: {len(done)})")


def draw_strip(kept: KeptPairs, done: Sequence[PairRecord]) -> Image.Image | None:
    """Draws faces of the first videos: real, masked as for a generator, generated."""
    import torch

    from lightly_marlin.lip_sync import mask_lower_half
    from lightly_marlin.visualization import film_strip

    rows = {}
    for record in done:
        for real in kept.arrays([record.name], "strip/real"):
            frames = torch.from_numpy(real).permute(0, 3, 1, 2)
            masked = mask_lower_half(frames).permute(0, 2, 3, 1)
            (generated,) = kept.arrays([record.name], "strip/generated")
            rows[f"{record.name}: real"] = real
            rows[f"{record.name}: masked"] = masked.numpy()
            rows[f"{record.name}: generated"] = generated
    return film_strip(rows) if rows else None


def describe(videos: VideoPairs, records: Sequence[PairRecord]) -> dict[str, Any]:
    """Returns the counts of pairs, and what was left out and why."""
    reasons = {record.name: record.reason for record in records if record.reason}
    return {
        "pairs": len(records),
        "measured": len(records) - len(reasons),
        "left_out": reasons,
        "without_real": videos.only_generated,
        "without_generated": videos.only_real,
        "notes": {record.name: record.notes for record in records if record.notes},
    }


def plain_rows(rows: dict[str, MeasuredRow]) -> dict[str, Any]:
    """Returns the rows for JSON."""
    return {
        row: {
            name: {
                "value": mean.value,
                "interval": None if mean.interval is None else list(mean.interval),
                "videos": mean.videos,
            }
            for name, mean in means.items()
        }
        for row, means in rows.items()
    }


if __name__ == "__main__":
    sys.exit(run_recipe(main, "evaluation", "faces"))
