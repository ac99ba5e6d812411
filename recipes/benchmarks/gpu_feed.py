"""Speed at which a store feeds a training step: loader, copies, and both together.

    python recipes/benchmarks/gpu_feed.py --store STORE --device cuda

First the loader alone, for several numbers of worker processes, in clips a second; then
the copy of a batch to the device; then whole training steps of both networks under
bfloat16 autocast, as pretraining runs them (masks drawn, batches copied), on

- one batch again and again: the step's own rate;
- the loader, batches copied on the stream of the training;
- the loader, batches copied one step ahead on a stream of their own, as pretraining
  does.

End to end is as fast as the step if the last equals the first. On a CPU the three are
alike, as there is nothing to copy; it shows that the program runs.

Writes results/gpu_feed-<machine>.json, after each measurement.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from environment import describe_machine, machine_name
from torch import Tensor
from torch.optim import AdamW
from torch.utils.data import DataLoader

from lightly_marlin.data import FaceClip, FaceClips, ResumableClipSampler
from lightly_marlin.demo import open_store
from lightly_marlin.models import MarlinDiscriminator, create_marlin
from lightly_marlin.training import PretrainStep
from lightly_marlin.training.device_prefetch import DevicePrefetcher, default_workers
from lightly_marlin.transforms import BatchMasking
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.device import choose_device
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
WARMUP = 4
Batch = dict[str, Any]


class Feeding:
    """Batches of a store and a training step, on one device."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.device = choose_device(options.device)
        self.batch_size: int = options.batch_size
        self.batches: int = options.batches
        self.on_gpu = self.device.type == "cuda"
        size = options.image_size
        store = open_store(options.store, demo_clips=4, demo_frames=40)
        self.clips = FaceClips(store, seed=0, size=size)
        torch.manual_seed(0)
        model = create_marlin(options.model, img_size=size).to(self.device)
        config = model.config
        critic = MarlinDiscriminator(config.patch_dim, 4 * config.decoder_dim)
        critic.to(self.device)
        optimizers = [
            AdamW(part.parameters(), 1e-4, weight_decay=0.0, fused=True)
            for part in (model, critic)
        ]
        self.step = PretrainStep(model, critic, *optimizers)
        self.masking = BatchMasking(
            "fasking",
            0.9,
            grid=config.grid,
            patch_size=config.patch_size,
            tubelet_size=config.tubelet_size,
        )

    def loader(self, workers: int) -> DataLoader[FaceClip]:
        """Returns an endless loader, as pretraining has it."""
        return DataLoader(
            self.clips,
            batch_size=self.batch_size,
            sampler=ResumableClipSampler(len(self.clips), seed=0),
            num_workers=workers,
            pin_memory=self.on_gpu,
        )

    def synchronize(self) -> None:
        """Waits for the device."""
        if self.on_gpu:
            torch.cuda.synchronize()

    def move(self, batch: Batch) -> Batch:
        """Copies a batch on the present stream."""
        return {
            name: value.to(self.device, non_blocking=True)
            for name, value in batch.items()
            if isinstance(value, Tensor)
        }

    def loading_rate(self, workers: int) -> float:
        """Returns the clips a second of the loader alone."""
        batches = iter(self.loader(workers))
        for _ in range(WARMUP):
            next(batches)
        start = time.perf_counter()
        for _ in range(self.batches):
            next(batches)
        return self.batches * self.batch_size / (time.perf_counter() - start)

    def copy_ms(self) -> float:
        """Returns the milliseconds in which a batch gets to the device."""
        batch = next(iter(self.loader(0)))
        self.move(batch)
        self.synchronize()
        start = time.perf_counter()
        for _ in range(self.batches):
            self.move(batch)
        self.synchronize()
        return (time.perf_counter() - start) / self.batches * 1000

    def step_ms(self, batches: Iterable[Batch]) -> float:
        """Returns the milliseconds of a training step, back to back."""
        start = 0.0
        last = WARMUP + self.batches
        for number, batch in enumerate(itertools.islice(batches, last)):
            if number == WARMUP:
                self.synchronize()
                start = time.perf_counter()
            masks = self.masking(batch["regions"], number)
            with torch.autocast(self.device.type, torch.bfloat16):
                self.step(batch["video"], *masks)
        self.synchronize()
        return (time.perf_counter() - start) / self.batches * 1000


def measurements(
    feeding: Feeding, workers: list[int]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields name and figures of each measurement."""
    for count in workers:
        rate = feeding.loading_rate(count)
        yield f"loader, {count} workers", {"clips_per_s": rate}
    yield "copy of a batch", {"ms": feeding.copy_ms()}
    fixed = feeding.move(next(iter(feeding.loader(0))))
    # Made one after another: a loader begins to work when it is asked for its first.
    cases: dict[str, Callable[[], Iterable[Batch]]] = {
        "step, one batch": lambda: itertools.repeat(fixed),
        "step, loader": lambda: map(feeding.move, feeding.loader(workers[-1])),
        "step, loader ahead": lambda: DevicePrefetcher(
            feeding.loader(workers[-1]), feeding.device
        ),
    }
    for name, make_batches in cases.items():
        ms = feeding.step_ms(make_batches())
        yield name, {"ms": ms, "clips_per_s": 1000 * feeding.batch_size / ms}


def main() -> int:
    """Measures, and writes the result after each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", help="face store; by default of demo clips")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", default="marlin_vit_base")
    parser.add_argument("--image-size", type=positive_integer, default=224)
    parser.add_argument("--batch-size", type=positive_integer, default=64)
    parser.add_argument("--batches", type=positive_integer, default=40)
    parser.add_argument(
        "--workers", type=int, nargs="+", help="default: 2 and that of pretraining"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    feeding = Feeding(options)
    workers = options.workers or sorted({2, default_workers(feeding.device)})
    result: dict[str, Any] = {
        "suite": "gpu_feed",
        "machine": describe_machine(),
        "device": str(feeding.device),
        "model": options.model,
        "batch_size": options.batch_size,
        "results": {},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"gpu_feed-{machine_name()}.json"
    for name, figures in measurements(feeding, workers):
        result["results"][name] = figures
        write_json(path, result)
        console.print(f"{name}: {figures}", soft_wrap=True)
    console.print(f"written to {path}", markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_recipe(main))
