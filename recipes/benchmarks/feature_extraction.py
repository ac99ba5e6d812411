"""Speed of feature extraction compared with marlin-pytorch, interleaved in one run.

    python recipes/benchmarks/feature_extraction.py CLIP.mp4 [CLIP.mp4 ...]

From the path of a clip of 224x224 pixels to its features on the CPU: opening, decoding,
cutting windows and encoding them, on the same windows with the same weights (random
ones: speed does not depend on them). The reference is `extract_video` of marlin-pytorch
0.3.4; the frame count that it would request from ffprobe is provided at no cost. Ours
is `lightly_marlin.features.extract_video` with `reference_windows`, in float32 and in
bfloat16, for which the weights are converted once in advance. No face is searched for.

Before anything is timed, the features must agree: float32 within 1e-4, bfloat16 with a
cosine similarity of at least 0.999 for every window; otherwise nothing is reported. The
variants alternate, so a slow moment of the machine affects all of them; medians and
quartiles are reported, with the highest speed-up that the encoder's matrix products
allow at this processor's rate, measured before and after.

The cores should be otherwise idle. If they are not, --processor-time counts the time
that one thread spends on a processor, which other programs affect little.

Writes results/feature_extraction-<machine>.json (feature_extraction_1_thread-... for
--processor-time) and prints a table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ffmpeg
import torch
from environment import describe_machine, machine_name
from product_limit import count_flops, product_rate
from rich.table import Table
from torch import Tensor

from lightly_marlin.features import extract_video
from lightly_marlin.models import (
    MarlinEncoder,
    create_marlin_encoder,
    list_models,
)
from lightly_marlin.models.weights.released_layout import released_state
from lightly_marlin.utils.console import console, progress
from lightly_marlin.utils.files import write_json
from lightly_marlin.video import iter_frames

RESULTS = Path(__file__).parent / "results"
MAX_DIFFERENCE = 1e-4
MIN_COSINE = 0.999

Extract = Callable[[Path], Tensor]


def make_variants(model: str, batch_size: int) -> dict[str, Extract]:
    """Returns the methods of extraction by name, all with the same weights."""
    from marlin_pytorch import Marlin as ReferenceMarlin

    torch.manual_seed(0)
    encoder = create_marlin_encoder(model).eval()
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn(parameter.shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{model}.encoder.pt"
        torch.save(released_state(encoder), path)
        reference = ReferenceMarlin.from_file(f"{model}_ytf", str(path)).eval()
        small = create_marlin_encoder(model, weights=path).to(torch.bfloat16)

    def extract_reference(path: Path) -> Tensor:
        features: Tensor = reference.extract_video(str(path))
        return features

    def extract_float32(path: Path) -> Tensor:
        return extract_video(
            encoder, path, reference_windows=True, batch_size=batch_size
        )

    def extract_bf16(path: Path) -> Tensor:
        return extract_video(
            small,
            path,
            reference_windows=True,
            batch_size=batch_size,
            precision="bf16",
        )

    return {
        "reference float32": extract_reference,
        "ours float32": extract_float32,
        "ours bf16": extract_bf16,
    }


def hand_out_frame_counts(clips: list[Path]) -> int:
    """Lets the reference look frame counts up; returns their sum."""
    counts = {str(path): sum(1 for _ in iter_frames(path)) for path in clips}

    def probe(path: str) -> dict[str, Any]:
        return {"streams": [{"nb_frames": str(counts[path])}]}

    ffmpeg.probe = probe
    return sum(counts.values())


def check_same_result(
    variants: dict[str, Extract], clips: list[Path]
) -> dict[str, float]:
    """Extracts once with every method; returns the differences of the results.

    Raises:
        SystemExit: If they differ by more than allowed.
    """
    features = {
        name: torch.cat([extract(path) for path in clips])
        for name, extract in variants.items()
    }
    expected = features["reference float32"]
    if features["ours float32"].shape != expected.shape:
        sys.exit("The windows differ: not timing.")
    difference = float((features["ours float32"] - expected).abs().max())
    cosine = float(torch.cosine_similarity(features["ours bf16"], expected).min())
    if difference > MAX_DIFFERENCE or cosine < MIN_COSINE:
        sys.exit(
            f"The features differ by {difference:g} in float32, or have a cosine "
            f"similarity of {cosine:.5f} in bf16: not timing."
        )
    return {
        "windows": len(expected),
        "largest_difference_float32": difference,
        "smallest_cosine_bf16": cosine,
    }


def time_variants(
    variants: dict[str, Extract],
    clips: list[Path],
    repeats: int,
    clock: Callable[[], float],
) -> dict[str, list[float]]:
    """Returns the seconds of every pass over the clips, alternating the variants."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    with progress() as bar:
        task = bar.add_task("timing", total=repeats * len(variants), unit="passes")
        for _ in range(repeats):
            for name, extract in variants.items():
                start = clock()
                for path in clips:
                    extract(path)
                seconds[name].append(clock() - start)
                bar.advance(task)
    return seconds


def measure_rates(encoder: MarlinEncoder) -> dict[str, float]:
    """Returns the operations per second of matrix products, by variant."""
    return {
        "ours float32": product_rate(encoder, torch.float32),
        "ours bf16": product_rate(encoder, torch.bfloat16),
    }


def summarise(
    seconds: dict[str, list[float]], windows: int, least: dict[str, float]
) -> dict[str, Any]:
    """Returns medians, quartiles and speed-ups, in seconds per window.

    Args:
        seconds: Duration of every pass in seconds, by variant.
        windows: Number of windows in a pass.
        least: Minimum seconds for the products of a window, by variant.
    """
    rows: dict[str, Any] = {}
    for name, values in seconds.items():
        per_window = [value / windows for value in values]
        low, median, high = statistics.quantiles(per_window, n=4)
        rows[name] = {"median_s": median, "quartile_1_s": low, "quartile_3_s": high}
    base = rows["reference float32"]["median_s"]
    for name, row in rows.items():
        row["speedup"] = base / row["median_s"]
        if name in least:
            row["products_s"] = least[name]
            row["highest_speedup"] = base / least[name]
    return rows


def print_table(rows: dict[str, Any]) -> None:
    """Prints one line per variant."""
    table = Table(title="Features of a window, from the file on")
    for column in ("variant", "median s", "quartiles", "speed-up", "at most"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for name, row in rows.items():
        spread = f"{row['quartile_1_s']:.3f} to {row['quartile_3_s']:.3f}"
        most = f"{row['highest_speedup']:.2f}" if "highest_speedup" in row else ""
        speedup = f"{row['speedup']:.2f}"
        table.add_row(name, f"{row['median_s']:.3f}", spread, speedup, most)
    console.print(table)


def main() -> None:
    """Checks, measures, prints, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path, help="224x224 face clips")
    parser.add_argument("--model", default="marlin_vit_base", choices=list_models()[1:])
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="time one thread by the processor's clock, for machines that are busy",
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.processor_time:
        # Threads that busy-wait for each other would count as busy.
        arguments.threads = 1
    torch.set_num_threads(arguments.threads)
    num_frames = hand_out_frame_counts(arguments.clips)
    variants = make_variants(arguments.model, arguments.batch_size)
    check = check_same_result(variants, arguments.clips)
    # Other load on the machine slows all variants, but not by the same factor.
    load = os.getloadavg()[0]
    clock = time.process_time if arguments.processor_time else time.perf_counter
    encoder = create_marlin_encoder(arguments.model).eval()
    before = measure_rates(encoder)
    seconds = time_variants(variants, arguments.clips, arguments.repeats, clock)
    after = measure_rates(encoder)
    rates = {name: max(rate, after[name]) for name, rate in before.items()}
    flops = count_flops(encoder)
    least = {name: flops / rate for name, rate in rates.items()}
    rows = summarise(seconds, int(check["windows"]), least)
    print_table(rows)
    suite = "feature_extraction"
    if arguments.processor_time:
        suite += "_1_thread"
    result = {
        "suite": suite,
        "machine": describe_machine(),
        "model": arguments.model,
        "clock": clock.__name__,
        "threads": arguments.threads,
        "batch_size": arguments.batch_size,
        "repeats": arguments.repeats,
        "clips": [path.name for path in arguments.clips],
        "frames": num_frames,
        "load_before_timing": load,
        **check,
        "gflop_per_window": flops / 1e9,
        "product_gflop_per_s": {name: rate / 1e9 for name, rate in rates.items()},
        "results": rows,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{suite}-{machine_name()}.json"
    write_json(path, result)
    console.print(f"written to {path}")


if __name__ == "__main__":
    main()
