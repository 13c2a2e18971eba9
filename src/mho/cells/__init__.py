"""Cells made of several devices: what `Crossbar(device=...)` takes in place of one `Device`, one file each.

`base` says what such a cell is, and what a tile of them is.
"""

from mho.cells.base import Cell as Cell
from mho.cells.base import ComposedTile as ComposedTile
from mho.cells.base import new_tile as new_tile
from mho.cells.one_sided import OneSided, OneSidedTile
from mho.cells.vector import Reference, Vector, VectorTile

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
