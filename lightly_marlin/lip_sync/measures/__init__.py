"""Measures of videos with their sound, and of generated pictures."""
