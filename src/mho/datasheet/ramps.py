"""Ramps: cells under pulses up, then down, again and again, as a pulse generator and a meter see them."""

import math
from typing import NamedTuple

import torch

from mho.base.errors import complaint
from mho.datasheet.nominal import nominal, traverse
from mho.datasheet.numbers import Portrait
from mho.tile.tile import Tile

__all__ = ["Ramps", "ramps"]

PART = 0.95  # of the range, which a ramp of the nominal cell covers
READINGS = 500  # of one ramp, at most


class Ramps(NamedTuple):
    """Weights along the ramps.

    Args:
        pulses: (n,) number of pulses that each cell has had.
        hidden: (n, cells) hidden weights [weight units].
        apparent: (n, cells) weights as they are read, plus the reference [weight units]: they differ from the
            hidden ones where the device has write noise.
        ideal: (n,) the nominal cell without noise [weight units].
        length: pulses of one ramp.
    """

    pulses: torch.Tensor
    hidden: torch.Tensor
    apparent: torch.Tensor
    ideal: torch.Tensor
    length: int


def ramps(portrait: Portrait, cells: int = 3, cycles: int = 2) -> Ramps:
    """Send ramps to cells by `Tile.pulse`: from their lower bounds, `cycles` times up and down.

    If pulses move w only down, the cells start at their upper bounds. If the lower bound is infinite, they start at
    0. A long ramp is read every few pulses.
    """
    for name, value in (("cells", cells), ("cycles", cycles)):
        if value < 1:
            raise complaint(f"datasheet.ramps({name}={value})", f"{name} must be at least 1")
    device, length = portrait.device, ramp_length(portrait)
    strides = (max(1, 10 ** math.floor(math.log10(length)) // part) for part in (100, 50, 20, 10))
    stride = next(s for s in strides if length <= READINGS * s)
    n = length // stride
    signs = [s for _ in range(cycles) for s in (1, -1) for _ in range(n)]
    tile = Tile(_start(portrait, cells), device, key=portrait.key)
    ideal = Tile(_start(portrait, 1), nominal(device))
    reference = tile.parameters_of_cells.reference
    rows = [(tile.cells.clone(), tile.w.clone(), ideal.cells.clone())]
    for sign in signs:
        for each in (tile, ideal):
            each.pulse(torch.full(each.shape, float(sign * stride)))
        rows.append((tile.cells.clone(), tile.w.clone(), ideal.cells.clone()))
    hidden, apparent, free = (torch.cat(part) for part in zip(*rows, strict=True))
    return Ramps(stride * torch.arange(len(rows)), hidden, apparent + reference, free[:, 0], length)


def ramp_length(portrait: Portrait) -> int:
    """Return the pulses that bring the nominal cell over most of its range, in the slower direction.

    The number is that of 4 ranges at most, rounded up to two digits, so that the ticks of an axis are short.
    """
    device, (low, high) = portrait.device, portrait.window
    width = high - low
    ways = (low, low + PART * width), (high, high - PART * width)
    counts = [n for n in (traverse(device, *way) for way in ways) if math.isfinite(n)]
    length = max(2, math.ceil(min(max(counts, default=math.inf), 4 * width / device.dw_min)))
    unit = max(1, 10 ** math.floor(math.log10(length)) // 10)
    return unit * math.ceil(length / unit)


def _start(portrait: Portrait, cells: int) -> torch.Tensor:
    """Return (1, cells) weights far beyond the bound to start from, which clips them to each cell's own."""
    width = portrait.window[1] - portrait.window[0]
    if portrait.moves == "down only":
        start = portrait.at if math.isinf(portrait.upper) else portrait.upper + 10 * width
    else:
        start = portrait.at if math.isinf(portrait.lower) else portrait.lower - 10 * width
    return torch.full((1, cells), float(start))
