"""Benchmarks of the kernels: time, and share of the measured copy bandwidth.

    python -m lightly_marlin.kernels.benchmarks

measures on the GPU at hand, and refuses to report when a result differs from the
reference in float64. Needs torch and Triton; rich makes the table prettier, Pillow
draws the chart, and Lightly is measured beside ours where it is installed.
"""
