"""Demo clips: a portrait that talks, generated on the spot, and a store of them."""

from __future__ import annotations

from lightly_marlin.demo.store import demo_store, open_store

__all__ = [
    "demo_store",
    "open_store",
]
