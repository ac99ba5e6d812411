"""Weights: checkpoints of every known layout, read once, converted and published."""
