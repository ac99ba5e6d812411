"""Probe of the encoder during pretraining, on a small labelled store.

It is a callback of Lightning, whatever the module that trains the encoder, and leaves
the training bit-identical: it draws from no generator of the training and changes no
state.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import nn

from lightly_marlin.evaluation.items.item_features import item_features
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.metrics.metrics import primary_metric
from lightly_marlin.evaluation.metrics.monitors import feature_std, rankme
from lightly_marlin.evaluation.probes.exact_probe import exact_probe
from lightly_marlin.evaluation.probes.knn_probe import knn_probe
from lightly_marlin.models import MarlinEncoder
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.training.every_steps import EverySteps
from lightly_marlin.training.run_folder import MetricsCsv

__all__ = ["PROBE_COLUMNS", "OnlineProbe"]

PROBE_COLUMNS = ("step", "exact", "knn", "constant", "rankme", "feature_std")
"""Columns of probe.csv. The first three after the step are the primary metric of the
two probes and of the constant predictor."""


class OnlineProbe(EverySteps):
    """Evaluates an encoder on labelled items before, every n steps and at the end.

    Writes a row of probe.csv: the primary metric of the exact and the nearest-neighbour
    probe beside the constant predictor, the effective rank and the standard deviation
    of the features. The same numbers are logged as "probe/exact" and so on. The first
    process probes, and others wait for it: with several devices, a probe must take less
    than the time limit of their collectives.

    Args:
        path: The CSV file.
        encoder: Encoder that is being trained.
        table: Labelled items.
        store: Store of their videos.
        every: Steps between two probes.
        seed: Seed of folds and heads.
    """

    def __init__(
        self,
        path: Path | str,
        encoder: MarlinEncoder,
        table: LabelTable,
        store: FaceStore,
        *,
        every: int,
        seed: int = 0,
    ) -> None:
        super().__init__(every)
        self.csv = MetricsCsv(Path(path), PROBE_COLUMNS)
        self.encoder = encoder
        self.table = table
        self.store = store
        self.seed = seed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drops rows that a resumed run writes again; probes the weights to begin with.

        At step 0 these are random, unless the training starts from a checkpoint: the
        baseline of all later rows.
        """
        if trainer.is_global_zero:
            self.csv.truncate(trainer.global_step)
        if trainer.global_step == 0:
            self.on_due(trainer, pl_module)

    def on_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Probes."""
        step = trainer.global_step
        if trainer.is_global_zero:
            row = self.measure()
            self.csv.append({"step": step, **row})
            logged = {f"probe/{name}": value for name, value in row.items()}
            for logger in trainer.loggers:
                logger.log_metrics(logged, step=step)
        # The others wait; for a collective, NCCL waits 10 minutes by default.
        trainer.strategy.barrier("online probe")

    def measure(self) -> dict[str, float]:
        """Returns the columns of probe.csv but for the step.

        They are NaN once weights are not finite: a training that diverges is not ended
        by its probe.
        """
        if not all(weight.isfinite().all() for weight in self.encoder.parameters()):
            return dict.fromkeys(PROBE_COLUMNS[1:], float("nan"))
        with _unnoticed(self.encoder), tempfile.TemporaryDirectory() as cache:
            features = item_features(self.encoder, self.table, self.store, cache=cache)
            metric = primary_metric(self.table.target)
            exact, knn = (
                probe(features, self.table, self.seed, draws=1)
                for probe in (exact_probe, knn_probe)
            )
            return {
                "exact": exact.metrics[metric],
                "knn": knn.metrics[metric],
                "constant": exact.constant[metric],
                "rankme": rankme(features.features),
                "feature_std": feature_std(features.features),
            }


@contextmanager
def _unnoticed(module: nn.Module) -> Iterator[None]:
    """Afterwards, random generators are as they were."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 (others' state)
    devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
