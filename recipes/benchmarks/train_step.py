"""Speed of a training step compared with the reference, interleaved in one run.

    python recipes/benchmarks/train_step.py
    python recipes/benchmarks/train_step.py --device cuda

The reference step is the released one (see reference_step.py). Ours is
`lightly_marlin.training.PretrainStep` on uint8 clips. Both update both networks with
AdamW. The variants alternate, so a slow moment of the machine affects all of them;
medians and quartiles are reported, and peak memory beyond the model's, measured in
separate processes. With `--device cuda`, "plain" is ours without kernels, the default
is small, base and large at a batch size of 64, and a variant that does not fit into GPU
memory is left out.

Before anything is timed, both models predict from the same weights and must agree
within 1e-4; otherwise nothing is reported, nor if a kernel fell back to its plain
version. (tests/training/test_pretrain_step.py tests that one forward pass gives the
same updates as two.)

Writes results/train_step-<machine>.json and prints a table. `--memory` only measures
memory and adds it to the existing result.
"""

from __future__ import annotations

import argparse
import json
import os
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
from reference_step import (
    ADVERSARIAL_WEIGHT,
    LEARNING_RATE,
    ReferenceDiscriminator,
    ReferenceGenerator,
    ReferenceStep,
)
from rich.table import Table
from torch import Tensor, nn
from torch.optim import AdamW

from lightly_marlin.kernels.dispatch import KERNELS_VARIABLE, find_fallbacks
from lightly_marlin.models import MarlinDiscriminator, accelerate_cpu, create_marlin
from lightly_marlin.models.config import named_config
from lightly_marlin.models.marlin import Marlin
from lightly_marlin.training import PretrainStep
from lightly_marlin.transforms import indices_to_mask, tube_token_mask
from lightly_marlin.utils.console import console, progress
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
VARIANTS = ("reference float32", "reference bf16", "ours float32", "ours bf16-mixed")
# On a GPU, ours without its kernels as well.
GPU_VARIANTS = (*VARIANTS, "plain bf16-mixed")


def make_batch(batch_size: int, device: str = "cpu") -> dict[str, Tensor]:
    """Returns a batch of noise clips and one mask in both forms."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, 3, 16, 224, 224)
    videos = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    idx_keep, idx_mask = tube_token_mask((batch_size, (8, 14, 14)), generator=generator)
    batch = {
        "uint8": videos,
        "float": videos.float() / 255,
        "idx_keep": idx_keep,
        "idx_mask": idx_mask,
        "visible": ~indices_to_mask(idx_mask, 1568),
    }
    return {name: value.to(device) for name, value in batch.items()}


def make_step(variant: str, model: str, batch: dict[str, Tensor]) -> Callable[[], None]:
    """Returns a function that trains one step of a variant on `batch`."""
    torch.manual_seed(0)
    config = named_config(model)
    sizes = (config.patch_dim, 4 * config.decoder_dim)
    device = batch["uint8"].device
    implementation, precision = variant.split()
    if implementation == "reference":
        generator = ReferenceGenerator(model).to(device)
        critic = ReferenceDiscriminator(*sizes).to(device)
        step = ReferenceStep(generator, critic, precision == "bf16")
        return lambda: step(batch["float"], batch["visible"])
    discriminator = accelerate_cpu(MarlinDiscriminator(*sizes)).to(device)
    run = make_our_step(create_marlin(model).to(device), discriminator)

    def run_ours() -> None:
        os.environ[KERNELS_VARIABLE] = "0" if implementation == "plain" else "1"
        mixed = precision == "bf16-mixed"
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            run(batch)

    return run_ours


def make_our_step(
    model: Marlin, discriminator: nn.Module
) -> Callable[[dict[str, Tensor]], None]:
    """Returns a function that trains one step of ours."""
    step = PretrainStep(
        model,
        discriminator,
        AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.0),
        AdamW(discriminator.parameters(), LEARNING_RATE, weight_decay=0.0),
        adversarial_weight=ADVERSARIAL_WEIGHT,
    )

    def run(batch: dict[str, Tensor]) -> None:
        step(batch["uint8"], batch["idx_keep"], batch["idx_mask"])

    return run


def check_same_result(model: str, batch: dict[str, Tensor]) -> float:
    """Predicts in both ways with the same weights; returns the largest difference.

    Raises:
        SystemExit: If the implementations differ by more than 1e-4.
    """
    torch.manual_seed(1)
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
    steps = {}
    for variant in variants:
        try:
            step = make_step(variant, model, batch)
            step()
        except torch.OutOfMemoryError:
            console.print(f"{model}, {variant}: does not fit into memory, left out")
            continue
        steps[variant] = step
    seconds: dict[str, list[float]] = {variant: [] for variant in steps}
    with progress() as bar:
        task = bar.add_task(model, total=repeats * len(steps), unit="steps")
        for _ in range(repeats):
            for variant, step in steps.items():
                synchronize(batch)
                start = time.perf_counter()
                step()
                synchronize(batch)
                seconds[variant].append(time.perf_counter() - start)
                bar.advance(task)
    return seconds


def synchronize(batch: dict[str, Tensor]) -> None:
    """Synchronises with the device of a batch."""
    if batch["uint8"].is_cuda:
        torch.cuda.synchronize()


def peak_memory(variant: str, model: str, batch_size: int, device: str) -> float:
    """Returns the MiB that two steps need beyond the weights, in a separate process."""
    command = [sys.executable, __file__, "--probe", variant, "--models", model]
    command += ["--batch-size", str(batch_size), "--device", device]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(output.splitlines()[-1])["mib"])


def probe(variant: str, model: str, batch_size: int, device: str) -> None:
    """Prints the memory increase of two steps as JSON."""
    step = make_step(variant, model, make_batch(batch_size, device))
    if device == "cuda":
        before = torch.cuda.memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
    else:
        before = read_memory("VmRSS")
        # This resets the peak that the kernel records.
        Path("/proc/self/clear_refs").write_text("5")
    step()
    step()
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak = read_memory("VmHWM")
    print(json.dumps({"mib": peak - before}))


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


def print_table(result: dict[str, dict[str, dict[str, float]]]) -> None:
    """Prints one row per model and variant."""
    table = Table(title="One training step")
    for column in ("model", "variant", "median s", "speed-up", "peak MiB"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for model, variants in result.items():
        for variant, row in variants.items():
            table.add_row(
                model,
                variant,
                f"{row['median_s']:.3f}",
                f"{row['speedup']:.2f}" if "speedup" in row else "-",
                f"{row['peak_mib']:.0f}",
            )
    console.print(table)


def main() -> None:
    """Measures, prints, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--models", nargs="+", help="marlin_vit_small and so on")
    parser.add_argument("--batch-size", type=int, help="default: 2, on a GPU 64")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--memory", action="store_true", help="measure memory alone")
    parser.add_argument("--probe", choices=GPU_VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    on_gpu = arguments.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        parser.error("--device cuda: no CUDA device was found")
    sizes = ("small", "base", "large")[: 3 if on_gpu else 2]
    arguments.models = arguments.models or [f"marlin_vit_{size}" for size in sizes]
    arguments.batch_size = arguments.batch_size or (64 if on_gpu else 2)
    torch.set_num_threads(arguments.threads)
    if arguments.probe:
        probe(
            arguments.probe,
            arguments.models[0],
            arguments.batch_size,
            arguments.device,
        )
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"train_step-{machine_name()}.json"
    if arguments.memory:
        result = json.loads(path.read_text(encoding="utf-8"))
    else:
        result = measure(arguments)
    for model, rows in result["results"].items():
        for variant, row in rows.items():
            row["peak_mib"] = peak_memory(
                variant, model, result["batch_size"], arguments.device
            )
    print_table(result["results"])
    write_json(path, result)
    console.print(f"written to {path}")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Checks and times all models; returns the result without memory."""
    batch = make_batch(arguments.batch_size, arguments.device)
    variants = GPU_VARIANTS if arguments.device == "cuda" else VARIANTS
    results: dict[str, dict[str, dict[str, float]]] = {}
    differences = {}
    for model in arguments.models:
        differences[model] = check_same_result(model, batch)
        seconds = time_variants(model, batch, arguments.repeats, variants)
        rows = {variant: summarise(values) for variant, values in seconds.items()}
        if VARIANTS[0] in rows:
            base = rows[VARIANTS[0]]["median_s"]
            for row in rows.values():
                row["speedup"] = base / row["median_s"]
        results[model] = rows
        # The next model, and the processes that measure memory, need the space.
        torch.cuda.empty_cache()
    if arguments.device == "cuda" and find_fallbacks():
        name, reason = find_fallbacks()[0]
        sys.exit(f"{name} ran in plain PyTorch ({reason}): nothing is reported.")
    return {
        "suite": "train_step",
        "machine": describe_machine(),
        "threads": arguments.threads,
        "batch_size": arguments.batch_size,
        "repeats": arguments.repeats,
        "largest_difference": differences,
        "results": results,
    }


if __name__ == "__main__":
    main()
