"""Weights: checkpoints of every known layout, read, converted and published."""
