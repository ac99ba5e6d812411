"""Weights: checkpoints of every known layout, opened once, converted, published."""
