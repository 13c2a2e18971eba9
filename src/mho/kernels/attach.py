"""Compiled updates for the device that a tile's memory is on. Numba, or Triton, is loaded with the first pulse."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from mho.device.device import Cells, Device

if TYPE_CHECKING:
    from mho.kernels.cpu.update import CpuKernels
    from mho.kernels.gpu.update import GpuKernels


def kernels_of(
    device: Device, cells: Cells, buffers: Sequence[torch.Tensor], key: int
) -> "CpuKernels | GpuKernels":
    """The compiled update of a tile.

    Args:
        device, cells, key: of the tile; buffers: its memory, in the order of `memory.Arrays`.
    """
    from mho.kernels.cpu.memory import Arrays

    if buffers[0].is_cpu:
        from mho.kernels.cpu.update import CpuKernels

        return CpuKernels(device, cells, Arrays(*(b.numpy() for b in buffers)), key)
    from mho.kernels.gpu.update import GpuKernels

    on_gpu: Any = Arrays(*buffers)  # type: ignore[arg-type]  # tensors here, arrays on the CPU
    return GpuKernels(device, cells, on_gpu, key)
