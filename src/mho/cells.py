"""Cells made of several devices, which `Crossbar(device=...)` takes in place of one `Device`.

`Vector` adds up several devices, `Reference` subtracts a second one, `OneSided` pairs two that are only pulsed
upwards. A cell of your own is a record and a tile: a subclass of `ComposedCell`, whose method `tile` makes a
subclass of `ComposedTile` that says which device receives which pulses, and whose method `parts` names the devices
for summaries. `new_tile` makes an array of any of them, or of a `Device`. Cells nest: a part may be a composed cell
itself.

Each part has a key, converters and counters of its own; the sum has one read-out, behind one converter a line.

    cell = mho.Vector(devices=(coarse, mho.Reference(fine)), gammas=(1.0, 0.1))
    tile = mho.cells.new_tile(torch.zeros(4, 3), cell, key=1)
    tile.parts[0].program(torch.full((4, 3), 0.2))      # `tile.w` shows it at once
"""

from mho.device.composed import ComposedCell
from mho.tile.composed import ComposedTile
from mho.tile.one_sided import OneSided, OneSidedTile
from mho.tile.tile import new_tile
from mho.tile.vector_cells import Reference, Vector, VectorTile

__all__ = [
    "ComposedCell",
    "ComposedTile",
    "OneSided",
    "OneSidedTile",
    "Reference",
    "Vector",
    "VectorTile",
    "new_tile",
]
