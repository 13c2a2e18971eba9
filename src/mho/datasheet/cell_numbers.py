"""The numbers of a cell made of several devices."""

import math
from typing import NamedTuple

import torch

from mho.device.cell import Cells
from mho.device.composed import ComposedCell
from mho.device.pulses import Pulses
from mho.tile.tile import new_tile

__all__ = ["CellNumbers", "cell_numbers"]


class CellNumbers(NamedTuple):
    """The numbers of a nominal cell.

    Args:
        granularity: change of the weight by one pulse at q = 1 to each device that receives it [weight units].
        lower, upper: bounds of the sum of the parts' hidden weights [weight units], which may be infinite.
        states: (upper - lower)/granularity.
    """

    granularity: float
    lower: float
    upper: float
    states: float

    def as_dict(self) -> dict[str, float | None]:
        """Return plain data for JSON; None stands for infinity."""
        return {name: value if math.isfinite(value) else None for name, value in self._asdict().items()}


def cell_numbers(cell: ComposedCell) -> CellNumbers:
    """Return the numbers of a cell. Raises: MhoError if a law has no bounds to search from 0."""
    granularity = new_tile(torch.zeros(1, 1), cell, None, Pulses(), 0).granularity
    lower = upper = 0.0
    for _, factor, device in cell.leaves():
        nominal = Cells.alike(device.response)
        ends = factor * float(nominal.lower), factor * float(nominal.upper)
        lower, upper = lower + min(ends), upper + max(ends)
    return CellNumbers(granularity, lower, upper, (upper - lower) / granularity)
