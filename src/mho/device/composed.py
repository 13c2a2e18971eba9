"""Cells made of several devices, as records: the part of `mho.cells` that a `Crossbar` has to know.

`Crossbar(device=...)` and `new_tile` take such a record in place of a `Device`. The record says which devices
hold one weight together; its method `tile` makes the array of such cells (`mho.tile.composed.ComposedTile`).
The records themselves stand beside their tiles, in `mho.tile.vector_cells` and `mho.tile.one_sided`: a record
that knows its tile cannot lie below it, and this base class can.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from mho.base.errors import wrong_type
from mho.base.records import Record
from mho.device.device import Device
from mho.device.pulses import PulseScheme


class Part(NamedTuple):
    """A device of a cell, whose weight is the sum of `factor` times the weight of each part.

    Args:
        name: of the part's tile among the parts of the cell's tile, such as "plus".
        factor: of the part's weight in the sum.
        device: one device, or a composed cell.
    """

    name: str
    factor: float
    device: "Device | ComposedCell"


class Leaf(NamedTuple):
    """A single device of a cell: a `Part`, whose name is "1.plus" inside of the part "1"."""

    name: str
    factor: float
    device: Device


class ComposedCell(Record, named=False):
    """Several devices that hold one weight together; `Crossbar(device=...)` takes it in place of a `Device`.

    A subclass lists its devices and rules as fields, names the devices in `parts`, and makes a tile in `tile`.
    """

    def parts(self) -> tuple[Part, ...]:
        """Return the devices of a cell, in the order of its tile's parts: what `mho device` and summaries show."""
        return ()

    def leaves(self) -> list[Leaf]:
        """Return the single devices of a cell, those inside of its composed parts included."""
        found: list[Leaf] = []
        for name, factor, device in self.parts():
            if isinstance(device, Device):
                found.append(Leaf(name, factor, device))
            else:
                found += [Leaf(f"{name}.{n}", factor * f, inner) for n, f, inner in device.leaves()]
        return found

    def tile(self, w: torch.Tensor, io: Any, pulses: PulseScheme, key: int, count_cells: bool) -> Any:
        """Make a tile of these cells, a `ComposedTile`; the arguments are those of `Tile`."""
        raise NotImplementedError


def alike(leaves: Iterable[Leaf]) -> list[tuple[Device, list[Leaf]]]:
    """Return the different devices, each with the leaves that it is."""
    groups: list[tuple[Device, list[Leaf]]] = []
    for leaf in leaves:
        same = [members for device, members in groups if device == leaf.device]
        if same:
            same[0].append(leaf)
        else:
            groups.append((leaf.device, [leaf]))
    return groups


def check_device(where: str, device: object) -> None:
    """Check that something is a device or a composed cell."""
    if not isinstance(device, (Device, ComposedCell)):
        raise wrong_type(where, "it", device, "an mho.Device or a cell of mho.cells")
