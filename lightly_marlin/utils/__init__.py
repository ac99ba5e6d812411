"""The few things that everyone needs."""
