"""Labelled items in videos and stores: features of their windows, and clips."""
