"""Names of splits, as people write them."""

from __future__ import annotations

__all__ = ["SPLIT_SPELLINGS", "split_name"]

SPLIT_SPELLINGS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""Split of each spelling, in lower case."""


def split_name(text: str) -> str | None:
    """Returns "train", "val" or "test" for any of its spellings, else None."""
    return SPLIT_SPELLINGS.get(text.lower())
