"""Fast layers for CPUs that replace those of PyTorch and timm, reversibly."""

from lightly_marlin.models.cpu.accelerate import accelerate_cpu, restore_layers

__all__ = ["accelerate_cpu", "restore_layers"]
