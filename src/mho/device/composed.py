"""Cells made of several devices, as records: the part of `mho.cells` that a `Crossbar` has to know.

`Crossbar(device=...)` and `new_tile` take such a record in place of a `Device`. The record says which devices
hold one weight together; its method `tile` makes the array of such cells (`mho.tile.composed.ComposedTile`).
The records themselves stand beside their tiles, in `mho.tile.vector_cells` and `mho.tile.one_sided`: a record
that knows its tile cannot lie below it, and this base class can.
"""

from typing import Any

import torch

from mho.base.errors import wrong_type
from mho.base.records import Record
from mho.device.device import Device
from mho.device.pulses import PulseScheme


class ComposedCell(Record, named=False):
    """Several devices that hold one weight together; `Crossbar(device=...)` takes it in place of a `Device`.

    A subclass lists its devices and rules as fields, and makes a tile of such cells in `tile`.
    """

    def tile(self, w: torch.Tensor, io: Any, pulses: PulseScheme, key: int, count_cells: bool) -> Any:
        """Make a tile of these cells, a `ComposedTile`; the arguments are those of `Tile`."""
        raise NotImplementedError


def check_device(where: str, device: object) -> None:
    """Check that something is a device or a composed cell."""
    if not isinstance(device, (Device, ComposedCell)):
        raise wrong_type(where, "it", device, "an mho.Device or a cell of mho.cells")
