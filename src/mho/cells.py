"""Cells made of several devices, which `Crossbar(device=...)` takes in place of one `Device`.

`Vector` adds up several devices, `Reference` subtracts a second one, `OneSided` pairs two that are only pulsed
upwards. A cell of your own is a record and a tile: a subclass of `ComposedCell`, whose method `tile` makes a
subclass of `ComposedTile` that says which device receives which pulses. `new_tile` makes an array of any of
them, or of a `Device`.
"""

from mho.device.composed import ComposedCell
from mho.tile.composed import ComposedTile
from mho.tile.one_sided import OneSided, OneSidedTile
from mho.tile.tile import new_tile
from mho.tile.vector_cells import Reference, Vector, VectorTile

Cell = ComposedCell
"""The name under which cells of a user's own know their base class."""

__all__ = [
    "Cell",
    "ComposedCell",
    "ComposedTile",
    "OneSided",
    "OneSidedTile",
    "Reference",
    "Vector",
    "VectorTile",
    "new_tile",
]
