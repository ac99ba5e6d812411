"""Reports of a pretraining run: what begins, what came out, and its model card."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from lightly_marlin.kernels import find_fallbacks
from lightly_marlin.models import ModelCard
from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.training.schedule import WarmupCosine
from lightly_marlin.training.settings import PretrainSettings, read_settings
from lightly_marlin.training.validation import VALIDATION_COLUMNS
from lightly_marlin.utils.console import console
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.metric_names import MEAN_COLOR, RECONSTRUCTION

__all__ = ["card_of_run", "describe_run", "summarise_run"]


_FIGURES = {
    "step": "training steps",
    RECONSTRUCTION: "reconstruction loss of held-out clips",
    MEAN_COLOR: "the same, predicting a clip's mean colour",
}


def describe_run(
    settings: PretrainSettings,
    num_clips: int,
    num_held_out: int | None,
    schedule: WarmupCosine,
    max_steps: int,
    world_size: int = 1,
) -> None:
    """Prints what is about to happen.

    Args:
        settings: Settings of the run.
        num_clips: Tracks to train on.
        num_held_out: Tracks to validate on; None if nothing is validated.
        schedule: Schedule of the learning rate.
        max_steps: Step after which the run stops.
        world_size: Devices that train together, of all nodes.
    """
    table = Table(title="MARLIN pretraining", show_header=False)
    rows = {
        "model": settings.model,
        "store": settings.store or "built-in demo clips",
        "tracks": f"{num_clips} to train on, {num_held_out or 0} held out",
        "mask": f"{settings.mask}, ratio {settings.mask_ratio}",
        "objectives": _objectives(settings),
        "batch": f"{settings.batch_size} clips x {world_size} device(s)",
        "learning rate": f"up to {schedule.highest:.3g}, warm-up "
        f"{schedule.warmup_steps} steps, cosine to step {schedule.total_steps}",
        "stops after": f"{max_steps} steps",
        "run folder": settings.out,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    if num_held_out is None:
        console.print("A stream holds no track out: nothing is validated.")
    elif num_held_out == 0:
        console.print("Too few videos to hold one out: validating on training clips.")


def summarise_run(folder: RunFolder, step: int) -> None:
    """Prints the last validation, where things are, and kernels that did not run.

    Args:
        folder: Folder of the run.
        step: Steps trained.
    """
    table = Table(title=f"after {step} steps", show_header=False)
    last = _last_validation(folder)
    for name in VALIDATION_COLUMNS[1:]:
        if name in last:
            table.add_row(f"held-out {name}", f"{float(last[name]):.5f}")
    pictures = sorted(folder.pictures.glob("step_*.png"))
    table.add_row("picture", str(pictures[-1]) if pictures else "none")
    table.add_row("weights", f'Marlin.from_pretrained("{folder.model}")')
    table.add_row("resume", str(folder.checkpoint))
    console.print(table)
    # Said once when it happened, and by now far up in the log.
    for operation, reason in find_fallbacks():
        console.print(f"{operation} ran in plain PyTorch: {reason}.", markup=False)


def card_of_run(run: str | Path, *, data: str, license: str) -> ModelCard:
    """Makes the card of a run's model from what the run left behind.

    Args:
        run: Folder of the run.
        data: What the clips show, where they are from and under which terms.
        license: Licence of the weights, such as "mit" or "cc-by-nc-4.0".

    Returns:
        The card, with the settings that decide most and the last held-out losses.

    Raises:
        UsageError: If the folder holds no run, or `data` or `license` is empty.
    """
    folder = RunFolder(Path(run))
    if not folder.config.is_file():
        raise UsageError(
            f"The folder {run} holds no run: there is no config.yaml in it. Name the "
            "folder that pretrain_marlin.py wrote with --out."
        )
    settings = read_settings([folder.config], {})
    origin = "from random weights"
    if settings.weights is not None:
        name = Path(settings.weights).name
        origin = f"from the weights {name}, whose licence binds these too"
    training = (
        f"Pretrained {origin} in batches of {settings.batch_size} clips, masked "
        f"by {settings.mask} at a ratio of {settings.mask_ratio}, with the objectives "
        f"{_objectives(settings)}."
    )
    last = _last_validation(folder)
    figures = {
        text: float(last[name]) for name, text in _FIGURES.items() if name in last
    }
    return ModelCard(data=data, license=license, training=training, figures=figures)


def _last_validation(folder: RunFolder) -> dict[str, str]:
    """Returns the last row of validation.csv, which may have no baseline; or none."""
    rows = MetricsCsv(folder.validation, VALIDATION_COLUMNS[:2]).rows()
    return rows[-1] if rows else {}


def _objectives(settings: PretrainSettings) -> str:
    weights = settings.objective_weights.items()
    return ", ".join(f"{name} × {weight:g}" for name, weight in weights)
