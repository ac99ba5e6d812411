"""Description of the machine of a benchmark, as the kernels' benchmarks give it."""

from lightly_marlin.kernels.benchmarks.machine import describe_machine, machine_name

__all__ = ["describe_machine", "machine_name"]
