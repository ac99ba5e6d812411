"""Evaluation of representations: labelled items, probes, fine-tuning, results."""

from __future__ import annotations

from lightly_marlin.utils.lazy_names import lazy_names

_HOMES = {
    "FeatureMeters": "feature_meters",
    "Finetune": "tuning.finetune",
    "Fold": "labels.splits",
    "HistogramFeatures": "items.histogram_baseline",
    "ItemClips": "items.item_clips",
    "ItemFeatures": "items.item_features",
    "ItemWindows": "items.item_clips",
    "LabelTable": "labels.label_table",
    "Metrics": "metrics.metrics",
    "OnlineProbe": "online_probe",
    "PROTOCOLS": "probes.protocols",
    "PairedDifference": "metrics.intervals",
    "PixelFeatures": "items.pixel_baseline",
    "Predictions": "results.result",
    "Published": "tasks",
    "Result": "results.result",
    "Target": "labels.target",
    "Task": "tasks",
    "TrackClips": "track_clips",
    "TunedModel": "tuning.tuned_model",
    "alignment": "metrics.alignment",
    "attentive_probe": "probes.attentive_probe",
    "exact_probe": "probes.exact_probe",
    "feature_std": "metrics.monitors",
    "few_shot": "labels.few_shot",
    "few_shot_items": "labels.few_shot",
    "folder_labels": "labels.folder_labels",
    "folds": "labels.splits",
    "get_task": "tasks",
    "grid_probe": "probes.grid_probe",
    "grouped_bootstrap": "metrics.intervals",
    "grouped_split": "labels.splits",
    "identity_knn": "metrics.identity_knn",
    "item_features": "items.item_features",
    "join_videos": "labels.joining",
    "knn_probe": "probes.knn_probe",
    "layer_decay_groups": ".training.layer_decay",
    "lidar": "metrics.lidar",
    "linear_probe": "probes.linear_probe",
    "list_tasks": "tasks",
    "load_task": "tasks",
    "measure_features": "feature_meters",
    "metrics_for": "metrics.metrics",
    "paired_difference": "metrics.intervals",
    "per_label_metrics": "metrics.label_metrics",
    "primary_metric": "metrics.metrics",
    "rankme": "metrics.monitors",
    "read_labels": "labels.reading",
    "read_splits": "labels.split_lists",
    "register_task": "tasks",
    "released_probe": "probes.released_probe",
    "run_protocol": "probes.protocol",
    "track_features": "feature_meters",
    "uniformity": "metrics.alignment",
    "unregister_task": "tasks",
}

__all__ = list(_HOMES)

# On first use: probes need no trainer, tables no torchmetrics.
__getattr__ = lazy_names(__name__, _HOMES)
