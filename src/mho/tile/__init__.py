"""A crossbar of cells: its verbs, and what they need. `Tile` is in tile.py."""

from mho.tile.tally import Tally, UpdateInfo, total
from mho.tile.tile import Tile

__all__ = ["Tally", "Tile", "UpdateInfo", "total"]
