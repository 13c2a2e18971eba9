"""Write noise: the apparent weight of a cell lies off the one it holds, by a random part drawn at each write.

The part is state, not reading noise: it stays until the cell is written again. A tile keeps it in `noise`, and
in `_offset` the reference less the noise, which stands for the reference in all kernels.
"""

from typing import Protocol

import numpy as np
import torch

from mho.base.signals import uninterrupted
from mho.device.device import Device
from mho.numerics.rng import Stream, call_key, next_event, split


class NoisyCells(Protocol):
    """The part of a `Tile` that write noise works on."""

    key: int
    shape: tuple[int, int]
    device: Device
    cells: torch.Tensor
    noise: torch.Tensor
    reference: torch.Tensor
    _apparent: torch.Tensor
    _offset: torch.Tensor

    @property
    def granularity(self) -> float: ...

    def counters(self, name: str) -> memoryview: ...


def rewrite(tile: NoisyCells, before: torch.Tensor | None = None, at: tuple[int, int] = (0, 0)) -> None:
    """Draw the write noise of a tile anew: write_noise dw_min xi, for the cells that differ from `before`.

    Args:
        before: hidden weights of all cells (out, in), or of those of a rectangle; None for all cells, whose
            apparent weights are then left to `refresh`.
        at: row and column of the rectangle's first cell.
    """
    if tile.cells.is_meta:
        return
    event = next_event(tile.counters("events"), Stream.WRITE)
    low, high = map(np.uint32, split(call_key(tile.key, Stream.WRITE, event)))
    sigma = np.float32(tile.device.write_noise * tile.granularity)
    if before is not None and tile.cells.is_cpu:
        from mho.kernels.cpu.write_noise import rewrite_changed  # Numba: loaded with the first noise

        arrays = tile.noise, tile.reference, tile._offset, tile._apparent
        cells = tile.cells.numpy(), before.numpy(), *at
        rewrite_changed(*cells, *(a.numpy() for a in arrays), sigma, low, high)
        return
    with uninterrupted():
        from mho.numerics.normal import normal_plane

    xi = torch.empty(tile.shape, dtype=torch.float32, device="cpu")
    normal_plane(xi.numpy(), low, high, np.uint32(0))
    noise = (xi * float(sigma)).to(tile.cells.device)
    if before is None:
        tile.noise.copy_(noise)
        return
    place = tuple(slice(first, first + n) for first, n in zip(at, before.shape, strict=True))
    held = tile.noise[place]
    held.copy_(torch.where(tile.cells[place] != before, noise[place], held))
    combine(tile)


def combine(tile: NoisyCells) -> None:
    """Compute the apparent weights from the hidden ones, the reference and the noise."""
    reference = tile.reference if tile.reference.numel() else tile.cells.new_zeros(())
    torch.sub(reference, tile.noise, out=tile._offset)
    torch.sub(tile.cells, tile._offset, out=tile._apparent)
