"""Compiles kernels for GPUs that are not there, from the launchers' own arguments."""

import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import torch
import triton
from triton.backends.compiler import GPUTarget

from lightly_marlin.kernels import triton_language


class _AbsentGpu:
    """What Triton asks of a driver until it loads machine code."""

    def __init__(self, arch):
        self.arch = arch

    def get_current_target(self):
        return GPUTarget("cuda", self.arch, 32)

    def get_current_device(self):
        # Triton keeps kernels by device: no real one may find these.
        return 1000 + self.arch

    def get_current_stream(self, device):
        return 0


@contextmanager
def absent_gpu(arch):
    """Yields a list of the kernels that launchers compile while it is active.

    Tensors are to be on the meta device: 16-byte aligned, and without memory.
    """
    compiled = []

    def compile_only(kernel, grid, /, *args, **options):
        assert all(0 <= size < 2**31 for size in grid)
        compiled.append(kernel.warmup(*args, grid=grid, **options))

    driver, start = triton.runtime.driver, triton_language._start
    active = driver._active
    driver.set_active(_AbsentGpu(arch))
    triton_language._start = compile_only
    try:
        yield compiled
    finally:
        triton_language._start = start
        driver._active = active


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


def machine_code(kernel):
    """Instructions of a compiled kernel, without predicates and padding, in order."""
    # Triton brings the disassembler along, as it does the assembler.
    program = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "nvdisasm"
    with NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        command = [program, "-c", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True)
    line = r"/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+\s+)?([A-Z][^;]*);"
    found = re.findall(line, text.stdout)
    return [code for code in found if not code.startswith("NOP")]
