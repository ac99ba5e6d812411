"""What a pretraining run says before and after."""

from __future__ import annotations

from rich.table import Table

from lightly_marlin.training.metrics_csv import MetricsCsv
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.schedule import WarmupCosine
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.training.validation import VALIDATION_COLUMNS
from lightly_marlin.utils.console import console

__all__ = ["describe_run", "summarise_run"]


def describe_run(
    settings: PretrainSettings,
    num_clips: int,
    num_held_out: int,
    schedule: WarmupCosine,
    max_steps: int,
) -> None:
    """Prints what is about to happen.

    Args:
        settings: Settings of the run.
        num_clips: Tracks to train on.
        num_held_out: Tracks to validate on.
        schedule: Schedule of the learning rate.
        max_steps: Step after which the run stops.
    """
    table = Table(title="MARLIN pretraining", show_header=False)
    rows = {
        "model": settings.model,
        "store": settings.store or "built-in demo clips",
        "tracks": f"{num_clips} to train on, {num_held_out} held out",
        "mask": f"{settings.mask}, ratio {settings.mask_ratio}",
        "batch": f"{settings.batch_size} clips x {settings.devices} device(s)",
        "learning rate": f"up to {schedule.highest:.3g}, warm-up "
        f"{schedule.warmup_steps} steps, cosine to step {schedule.total_steps}",
        "stops after": f"{max_steps} steps",
        "run folder": settings.out,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    if not num_held_out:
        console.print("Too few videos to hold one out: validating on training clips.")


def summarise_run(folder: RunFolder, step: int) -> None:
    """Prints the last validation and where things are.

    Args:
        folder: Folder of the run.
        step: Steps trained.
    """
    table = Table(title=f"after {step} steps", show_header=False)
    rows = MetricsCsv(folder.validation, VALIDATION_COLUMNS).rows()
    if rows:
        last = rows[-1]
        for name in VALIDATION_COLUMNS[1:]:
            table.add_row(f"held-out {name}", f"{float(last[name]):.5f}")
    pictures = sorted(folder.pictures.glob("step_*.png"))
    table.add_row("picture", str(pictures[-1]) if pictures else "none")
    table.add_row("weights", f'Marlin.from_pretrained("{folder.model}")')
    table.add_row("resume", str(folder.checkpoint))
    console.print(table)
