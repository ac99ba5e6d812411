"""The model card of a pretraining run."""

from __future__ import annotations

from pathlib import Path

from lightly_marlin.models import ModelCard
from lightly_marlin.training.metrics_csv import MetricsCsv
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.settings import read_settings
from lightly_marlin.training.validation import VALIDATION_COLUMNS
from lightly_marlin.utils.errors import UsageError

__all__ = ["card_of_run"]


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
        f"by {settings.mask} at a ratio of {settings.mask_ratio}."
    )
    figures = {}
    if folder.validation.is_file():
        rows = MetricsCsv(folder.validation, VALIDATION_COLUMNS).rows()
        if rows:
            last = rows[-1]
            figures = {
                "training steps": float(last["step"]),
                "reconstruction loss of held-out clips": float(
                    last["loss/reconstruction"]
                ),
                "the same, predicting a clip's mean colour": float(
                    last["loss/mean_color"]
                ),
            }
    return ModelCard(data=data, license=license, training=training, figures=figures)
