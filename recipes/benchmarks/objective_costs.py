"""Arithmetic of a training step with each set of objectives, counted by PyTorch.

    python recipes/benchmarks/objective_costs.py

Counts the floating-point operations of matrix products and attention, forward and
backward, of one step of one clip at a mask ratio of 0.9; the same on every machine.
Writes results/objective_costs.json and prints a table.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from environment import describe_machine
from rich.table import Table
from torch.optim import SGD
from torch.utils.flop_counter import FlopCounterMode

from lightly_marlin.models import Marlin, MarlinDiscriminator
from lightly_marlin.models.config import named_config
from lightly_marlin.training.objectives.building import build_objectives
from lightly_marlin.training.objectives.critic import Critic
from lightly_marlin.training.objectives.names import read_objectives
from lightly_marlin.training.objectives.objective_step import ObjectiveStep
from lightly_marlin.transforms import tube_token_mask
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
MODELS = ("marlin_vit_tiny", "marlin_vit_small", "marlin_vit_base")
RELEASED = "pixels=1 adversarial=0.01"
SETS = (
    RELEASED,
    "pixels=1",
    "motion=1",
    "latent=1",
    "pixels=1 latent=0.1",
    "pixels=1 instance=0.1",
    "pixels=1 latent=0.1 instance=0.1",
    "pixels=1 histograms=0.1",
    "pixels=1 visible_histograms=0.1",
    "histograms=0.5 visible_histograms=1",
    "pixels=1 contrast=0.1",
)
# Contrast needs a second pair: operations are those of a batch of two, halved.
BATCH = 2


def count(name: str, objectives: str) -> float:
    """Returns the operations of a step per clip, in units of 10^9.

    Args:
        name: Name of the model.
        objectives: Objectives as `--objectives` takes them.
    """
    torch.manual_seed(0)
    model = Marlin(named_config(name))
    config = model.config
    weights = read_objectives(objectives)
    parts: dict[str, Any] = dict(build_objectives(model, weights))
    if "adversarial" in weights:
        critic = MarlinDiscriminator(config.patch_dim, 4 * config.decoder_dim)
        parts["adversarial"] = Critic(critic, SGD(critic.parameters(), 0.0))
    step = ObjectiveStep(model, {n: (parts[n], w) for n, w in weights.items()})
    size = (BATCH, 3, config.num_frames, config.img_size, config.img_size)
    videos = torch.randint(0, 256, size, dtype=torch.uint8)
    idx_keep, idx_mask = tube_token_mask((BATCH, config.grid), mask_ratio=0.9)
    batch = {"video": videos, "video_b": videos, "idx_keep_b": idx_keep}
    with FlopCounterMode(display=False) as counter:
        step(batch, idx_keep, idx_mask).total.backward()
    return float(counter.get_total_flops() / BATCH / 1e9)


def main() -> None:
    """Counts, prints, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    table = Table(title="10^9 operations of a step per clip, and times the released")
    table.add_column("objectives")
    counts: dict[str, dict[str, float]] = {}
    for model in options.models:
        table.add_column(model)
        counts[model] = {objectives: count(model, objectives) for objectives in SETS}
    for objectives in SETS:
        cells = [
            f"{row[objectives]:.0f} ({row[objectives] / row[RELEASED]:.2f})"
            for row in counts.values()
        ]
        table.add_row(objectives, *cells)
    path = options.results / "objective_costs.json"
    result = {
        "suite": "objective_costs",
        "machine": describe_machine(),
        "gflop": counts,
    }
    write_json(path, result)
    console.print(table)
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
