"""Demo clips: a talking portrait, generated offline, and a store of them."""

from __future__ import annotations

from lightly_marlin.demo.labels import DemoLabels, demo_labels, write_demo_labels
from lightly_marlin.demo.store import demo_store, open_store
from lightly_marlin.demo.videos import write_demo_videos

__all__ = [
    "DemoLabels",
    "demo_labels",
    "demo_store",
    "open_store",
    "write_demo_labels",
    "write_demo_videos",
]
