"""The compiled update of a tile, for the memory of its cells. Numba, or Triton, is loaded with the first pulse."""

from collections.abc import Sequence
from typing import Any

import torch

from mho.base.signals import uninterrupted
from mho.kernels.law.plan import KernelPlan, UpdateKernels


def update_kernels(plan: KernelPlan, buffers: Sequence[torch.Tensor], key: int) -> UpdateKernels:
    """Return the compiled update of a tile.

    The object that comes back holds the addresses of the buffers: make a new one when they move.

    Args:
        plan: the tile's cells.
        buffers: its memory, in the order of `mho.kernels.cpu.memory.Arrays`.
        key: 64-bit name of its randomness.
    """
    with uninterrupted():
        from mho.kernels.cpu.memory import Arrays

    if buffers[0].is_cpu:
        with uninterrupted():
            from mho.kernels.cpu.update import CpuKernels

        return CpuKernels(plan, Arrays(*(b.numpy() for b in buffers)), key)
    from mho.kernels.gpu.update import GpuKernels

    on_gpu: Any = Arrays(*buffers)  # type: ignore[arg-type]  # tensors here, arrays on the CPU
    return GpuKernels(plan, on_gpu, key)
