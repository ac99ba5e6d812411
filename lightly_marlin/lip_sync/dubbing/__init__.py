"""Dubbing of a video: faces that speak another sound."""
