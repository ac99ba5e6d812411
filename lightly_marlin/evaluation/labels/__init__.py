"""Labelled items: their target, their table, how they are read, joined and divided."""
