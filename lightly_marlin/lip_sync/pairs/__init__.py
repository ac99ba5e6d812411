"""Pairs of lips and sound, and the training of an expert on them."""
