"""Description of a benchmark's machine, shared with the kernels' benchmarks."""

from lightly_marlin.kernels.benchmarks.machine import describe_machine, machine_name

__all__ = ["describe_machine", "machine_name"]
