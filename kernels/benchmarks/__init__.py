"""Benchmarks of the kernels: time, and share of the measured copy bandwidth."""
