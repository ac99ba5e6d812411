"""Losses of a generator, and the rule that switches the expert on."""
