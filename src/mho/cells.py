"""Cells made of several devices: what `Crossbar(device=...)` takes in place of one `Device`, one file each.

`base` says what such a cell is, and what a tile of them is.
"""

from mho.tile.composed import Cell as Cell
from mho.tile.composed import ComposedTile as ComposedTile
from mho.tile.composed import new_tile as new_tile
from mho.tile.one_sided import OneSided, OneSidedTile
from mho.tile.vector_cells import Reference, Vector, VectorTile

__all__ = [
    "Cell",
    "ComposedTile",
    "OneSided",
    "OneSidedTile",
    "Reference",
    "Vector",
    "VectorTile",
    "new_tile",
]
