"""Which machine a benchmark ran on; the same words as the kernels' benchmarks use."""

from lightly_marlin.kernels.benchmarks.machine import describe_machine, machine_name

__all__ = ["describe_machine", "machine_name"]
