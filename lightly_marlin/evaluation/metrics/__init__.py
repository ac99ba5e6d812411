"""Metrics of predictions, their intervals, and monitors that need no labels."""
