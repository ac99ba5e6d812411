"""Operations that one training step launches, and the host's time for them.

    python recipes/benchmarks/step_operations.py

On a GPU every operation is a launch, and where batches are small the host that launches
decides. Counted are the operations that reach a device, views left out, of a step of
both networks at the base model's depths, in float32 and under bfloat16 autocast. The
host's time is measured on a CPU, with widths so small that the operations themselves
take next to nothing; the kernels are plain PyTorch there.

Writes results/step_operations-<machine>.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from environment import describe_machine, machine_name
from torch.optim import AdamW
from torch.utils._python_dispatch import TorchDispatchMode

from lightly_marlin.models import Marlin, MarlinConfig, MarlinDiscriminator
from lightly_marlin.models.config import named_config
from lightly_marlin.training import PretrainStep
from lightly_marlin.transforms import tube_token_mask
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
PRECISIONS = ("float32", "bf16-mixed")


class CountOperations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations that compute or copy; views and metadata are free."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view and not _is_metadata(func):
            self.counts[str(func.overloadpacket)] += 1
        return result


def _is_metadata(func: Any) -> bool:
    name = str(func.overloadpacket)
    return name in {"aten._unsafe_view", "aten.detach", "aten.empty", "aten.empty_like"}


def small_config() -> MarlinConfig:
    """Returns the base model's depths with tensors that take no time."""
    return replace(
        named_config("marlin_vit_base"),
        img_size=32,
        num_frames=4,
        encoder_dim=24,
        decoder_dim=24,
        encoder_num_heads=4,
        decoder_num_heads=4,
    )


class Step:
    """One training step on one batch of noise."""

    def __init__(self, config: MarlinConfig, precision: str) -> None:
        torch.manual_seed(0)
        side, frames = config.img_size, config.num_frames
        self.videos = torch.randint(256, (2, 3, frames, side, side), dtype=torch.uint8)
        # Of 8 tokens, a mask of 0.9 would leave none.
        self.masks = tube_token_mask((2, config.grid), 0.5)
        self.mixed = precision == "bf16-mixed"
        model = Marlin(config)
        critic = MarlinDiscriminator(config.patch_dim, 4 * config.decoder_dim)
        optimizers = [AdamW(part.parameters(), fused=True) for part in (model, critic)]
        self.step = PretrainStep(model, critic, *optimizers)

    def __call__(self) -> None:
        """Trains."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            self.step(self.videos, *self.masks)


def main() -> None:
    """Counts, measures, writes the result and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=positive_integer, default=30)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[str, Any]] = {}
    for precision in PRECISIONS:
        step = Step(small_config(), precision)
        # The first step allocates the optimizer's state.
        step()
        with CountOperations() as mode:
            step()
        seconds = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        rows[precision] = {
            "operations": mode.counts.total(),
            "casts": mode.counts["aten._to_copy"],
            "most": dict(mode.counts.most_common(12)),
            "host_ms": 1000 * statistics.median(seconds),
        }
    result = {
        "suite": "step_operations",
        "machine": describe_machine(),
        "repeats": options.repeats,
        "results": rows,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / f"step_operations-{machine_name()}.json"
    write_json(path, result)
    console.print_json(data=rows)
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
