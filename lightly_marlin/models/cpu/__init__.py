"""Fast layers for CPUs, swapped in for those of PyTorch and timm, and back."""

from lightly_marlin.models.cpu.accelerate import accelerate_cpu, restore_layers

__all__ = ["accelerate_cpu", "restore_layers"]
