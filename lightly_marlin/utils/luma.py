"""Weights of red, green and blue in luma."""

from __future__ import annotations

__all__ = ["LUMA"]

LUMA = (0.299, 0.587, 0.114)
"""Of ITU-R BT.601, for gamma-encoded values."""
