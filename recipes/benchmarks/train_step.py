"""Speed of a training step compared with the reference, interleaved in one run.

    python recipes/benchmarks/train_step.py
    python recipes/benchmarks/train_step.py --device cuda
    python recipes/benchmarks/train_step.py --device cuda --variants "ours bf16-mixed"

See train_step_variants.py for the variants: the released step, ours, and ours without
kernels, compiled, as a CUDA graph. All update both networks with AdamW. Before anything
is timed, both models predict from the same weights, in true float32, and must agree
within 1e-4; otherwise nothing is reported. (tests/training/test_pretrain_step.py tests
that one forward pass gives the same updates as two.)

On a CPU the variants alternate, so a slow moment of the machine affects all of them;
peak memory beyond the model's is measured in separate processes, and `--memory` only
measures memory and adds it to the existing result.

On a GPU one variant follows another: each has the memory for itself, and the result is
written after each, so that nothing is lost where time runs out. There, steps are timed
one by one and back to back (the host runs ahead), and the host's own time per step
stands beside them; a kernel that would fall back is an error; the losses of all
variants of one precision must agree within 1 % after the same steps. A variant that
does not fit into memory is named. The default is small, base and large at a batch size
of 64.

Writes results/train_step-<machine>.json and prints a table. `--profile` writes the
operations that take longest beside it, for each variant.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from environment import describe_machine, machine_name
from reference_step import ReferenceGenerator
from rich.table import Table
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from train_step_variants import GPU_VARIANTS, VARIANTS, make_batch, make_step

from lightly_marlin.models import create_marlin
from lightly_marlin.utils.console import console, progress
from lightly_marlin.utils.device import lightning_precision
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
WARMUP = 5
LOSS_TOLERANCE = 0.01


def check_same_result(model: str, batch: dict[str, Tensor]) -> float:
    """Predicts in both ways with the same weights; returns the largest difference.

    Raises:
        SystemExit: If the implementations differ by more than 1e-4.
    """
    torch.manual_seed(1)
    # The reference's convolution is of TF32 by default on a GPU, which is not float32.
    lightning_precision("32")
    device = batch["uint8"].device
    reference = ReferenceGenerator(model).to(device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.full.pt"
        torch.save(reference.state_dict(), path)
        ours = create_marlin(model, weights=str(path)).to(device)
    with torch.no_grad():
        expected = reference(batch["float"], batch["visible"])
        actual = ours(batch["uint8"], batch["idx_keep"], batch["idx_mask"])
    difference = float((actual - expected).abs().max())
    if difference > 1e-4:
        sys.exit(f"The predictions of {model} differ by {difference:g}: not timing.")
    return difference


def time_variants(
    model: str, batch: dict[str, Tensor], repeats: int, variants: tuple[str, ...]
) -> dict[str, list[float]]:
    """Returns the seconds of every timed step of every variant, interleaved."""
    steps = {variant: make_step(variant, model, batch) for variant in variants}
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {variant: [] for variant in steps}
    with progress() as bar:
        task = bar.add_task(model, total=repeats * len(steps), unit="steps")
        for _ in range(repeats):
            for variant, step in steps.items():
                start = time.perf_counter()
                step()
                seconds[variant].append(time.perf_counter() - start)
                bar.advance(task)
    return seconds


def peak_memory(variant: str, model: str, batch_size: int) -> float:
    """Returns the MiB that two steps need beyond the weights, in a separate process."""
    command = [sys.executable, __file__, "--probe", variant, "--models", model]
    command += ["--batch-size", str(batch_size)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(output.splitlines()[-1])["mib"])


def probe(variant: str, model: str, batch_size: int) -> None:
    """Prints the memory increase of two steps as JSON."""
    step = make_step(variant, model, make_batch(batch_size))
    before = read_memory("VmRSS")
    # This resets the peak that the kernel records.
    Path("/proc/self/clear_refs").write_text("5")
    step()
    step()
    print(json.dumps({"mib": read_memory("VmHWM") - before}))


def read_memory(key: str) -> float:
    """Returns a line of /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) / 1024
    raise RuntimeError(f"The kernel does not report {key}.")


def summarise(seconds: list[float]) -> dict[str, float]:
    """Returns median and quartiles in seconds."""
    low, median, high = statistics.quantiles(seconds, n=4)
    return {"median_s": median, "quartile_1_s": low, "quartile_3_s": high}


def time_on_gpu(
    step: Callable[[], Tensor | None], repeats: int
) -> dict[str, float | None]:
    """Returns times, memory and loss of a step on a GPU.

    Its first steps compile, capture and allocate; all variants make the same number.
    """
    allocated = torch.cuda.memory_allocated()
    # From the first step on: what a graph has allocated, replays do not allocate again.
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    for _ in range(WARMUP):
        step()
    torch.cuda.synchronize()
    first = time.perf_counter() - start
    seconds, host = [], []
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        loss = step()
        host.append(time.perf_counter() - start)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    torch.cuda.synchronize()
    return {
        **summarise(seconds),
        "back_to_back_s": (time.perf_counter() - start) / repeats,
        "host_s": statistics.median(host),
        "first_steps_s": first,
        "peak_mib": (torch.cuda.max_memory_allocated() - allocated) / 2**20,
        "loss": None if loss is None else float(loss),
    }


def profile_on_gpu(step: Callable[[], Tensor | None], path: Path) -> None:
    """Writes the operations of three steps that take longest."""
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with profile(activities=activities) as profiler:
        for _ in range(3):
            step()
        torch.cuda.synchronize()
    table = profiler.key_averages().table(
        sort_by="self_cuda_time_total", row_limit=40, max_name_column_width=90
    )
    path.write_text(table, encoding="utf-8")


def check_losses(rows: dict[str, dict[str, Any]]) -> None:
    """Checks that variants which differ in speed alone have learned the same.

    Raises:
        SystemExit: If the losses of a precision differ by more than 1 %.
    """
    losses: dict[str, dict[str, float]] = {}
    for variant, row in rows.items():
        if row.get("loss") is not None:
            losses.setdefault(variant.split()[1], {})[variant] = row["loss"]
    for same in losses.values():
        if max(same.values()) > (1 + LOSS_TOLERANCE) * min(same.values()):
            sys.exit(f"The losses after the same steps differ: {same}.")


def print_table(result: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Prints one row per model and variant."""
    table = Table(title="One training step")
    for column in ("model", "variant", "median s", "speed-up", "peak MiB"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for model, variants in result.items():
        for variant, row in variants.items():
            if "error" in row:
                table.add_row(model, variant, row["error"], "-", "-")
                continue
            table.add_row(
                model,
                variant,
                f"{row['median_s']:.3f}",
                f"{row['speedup']:.2f}" if "speedup" in row else "-",
                f"{row['peak_mib']:.0f}",
            )
    console.print(table)


def add_speedups(rows: dict[str, dict[str, Any]]) -> None:
    """Adds the speed beside that of the reference in float32, where there is one."""
    base = rows.get(VARIANTS[0], {}).get("median_s")
    for row in rows.values():
        if base is not None and "median_s" in row:
            row["speedup"] = base / row["median_s"]


def main() -> None:
    """Measures, prints, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--models", nargs="+", help="marlin_vit_small and so on")
    parser.add_argument("--variants", nargs="+", help="names as in the table")
    parser.add_argument("--batch-size", type=int, help="default: 2, on a GPU 64")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--memory", action="store_true", help="measure memory alone")
    parser.add_argument("--profile", action="store_true", help="on a GPU")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    on_gpu = arguments.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        parser.error("--device cuda: no CUDA device was found")
    sizes = ("small", "base", "large")[: 3 if on_gpu else 2]
    arguments.models = arguments.models or [f"marlin_vit_{size}" for size in sizes]
    arguments.batch_size = arguments.batch_size or (64 if on_gpu else 2)
    default = GPU_VARIANTS if on_gpu else VARIANTS
    arguments.variants = tuple(arguments.variants or default)
    torch.set_num_threads(arguments.threads)
    if arguments.probe:
        probe(arguments.probe, arguments.models[0], arguments.batch_size)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"train_step-{machine_name()}.json"
    if on_gpu:
        result = measure_on_gpu(arguments, path)
    else:
        if arguments.memory:
            result = json.loads(path.read_text(encoding="utf-8"))
        else:
            result = measure(arguments)
        for model, rows in result["results"].items():
            for variant, row in rows.items():
                row["peak_mib"] = peak_memory(variant, model, result["batch_size"])
    print_table(result["results"])
    write_json(path, result)
    console.print(f"written to {path}")


def describe(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns a result without measurements."""
    return {
        "suite": "train_step",
        "machine": describe_machine(),
        "threads": arguments.threads,
        "batch_size": arguments.batch_size,
        "repeats": arguments.repeats,
        "largest_difference": {},
        "results": {},
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Checks and times all models on a CPU; returns the result without memory."""
    batch, result = make_batch(arguments.batch_size), describe(arguments)
    for model in arguments.models:
        result["largest_difference"][model] = check_same_result(model, batch)
        seconds = time_variants(model, batch, arguments.repeats, arguments.variants)
        rows: dict[str, dict[str, Any]] = {
            variant: dict(summarise(values)) for variant, values in seconds.items()
        }
        add_speedups(rows)
        result["results"][model] = rows
    return result


def measure_on_gpu(arguments: argparse.Namespace, path: Path) -> dict[str, Any]:
    """Checks and times all models on a GPU; writes the result after each variant."""
    batch = make_batch(arguments.batch_size, "cuda")
    result = describe(arguments)
    result["machine"] |= {
        "gpu": torch.cuda.get_device_name(),
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }
    for model in arguments.models:
        result["largest_difference"][model] = check_same_result(model, batch)
        rows: dict[str, dict[str, Any]] = {}
        result["results"][model] = rows
        for variant in arguments.variants:
            try:
                step = make_step(variant, model, batch)
                rows[variant] = time_on_gpu(step, arguments.repeats)
                if arguments.profile:
                    name = f"profile-{model}-{variant.replace(' ', '-')}.txt"
                    profile_on_gpu(step, path.with_name(name))
                del step
            except torch.OutOfMemoryError:
                rows[variant] = {"error": "does not fit into memory"}
            torch.compiler.reset()
            torch.cuda.empty_cache()
            add_speedups(rows)
            write_json(path, result)
            console.print(f"{model}, {variant}: {rows[variant]}", soft_wrap=True)
        check_losses(rows)
    return result


if __name__ == "__main__":
    main()
