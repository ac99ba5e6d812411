"""Probe of the encoder during pretraining, on a small labelled store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lightly_marlin.evaluation.encoder_monitor import EncoderMonitor
from lightly_marlin.evaluation.items.item_features import item_features
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.metrics.metrics import primary_metric
from lightly_marlin.evaluation.metrics.monitors import feature_std, rankme
from lightly_marlin.evaluation.probes.exact_probe import exact_probe
from lightly_marlin.evaluation.probes.knn_probe import knn_probe
from lightly_marlin.models import MarlinEncoder
from lightly_marlin.store.face_store import FaceStore

__all__ = ["PROBE_COLUMNS", "OnlineProbe"]

PROBE_COLUMNS = ("step", "exact", "knn", "constant", "rankme", "feature_std")
"""Columns of probe.csv. The first three after the step are the primary metric of the
two probes and of the constant predictor."""


class OnlineProbe(EncoderMonitor):
    """Evaluates an encoder on labelled items before, every n steps and at the end.

    Writes a row of probe.csv: the primary metric of the exact and the nearest-neighbour
    probe beside the constant predictor, the effective rank and the standard deviation
    of the features. The same numbers are logged as "probe/exact" and so on. See
    `EncoderMonitor`: the training stays bit-identical.

    Args:
        path: The CSV file.
        encoder: Encoder that is being trained.
        table: Labelled items.
        store: Store of their videos.
        every: Steps between two probes.
        seed: Seed of folds and heads.
    """

    name = "probe"

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
        super().__init__(path, PROBE_COLUMNS, encoder, every=every)
        self.table = table
        self.store = store
        self.seed = seed

    def compute(self) -> dict[str, float]:
        """Returns the columns of probe.csv but for the step."""
        with tempfile.TemporaryDirectory() as cache:
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
