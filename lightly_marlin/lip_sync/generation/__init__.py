"""Clips of lips and sound, and the training of a generator on them."""
