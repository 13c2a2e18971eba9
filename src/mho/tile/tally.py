"""The counters of a tile, and the counts of one update."""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple


class Tally(IntEnum):
    """Places in `Tile.tally`, an int64 buffer that only grows."""

    UP = 0
    DOWN = 1
    READS = 2
    CLIPPED = 3
    LINES = 4
    PROGRAMS = 5


class UpdateInfo(NamedTuple):
    """The counts of one update: pulses up and down, its bit lines, and those clipped at p = 1."""

    up: int
    down: int
    clipped: int
    lines: int


def total(infos: Iterable[UpdateInfo]) -> UpdateInfo:
    """Add up the counts of several updates."""
    up, down, clipped, lines = (sum(numbers) for numbers in zip(*infos, strict=True))
    return UpdateInfo(up, down, clipped, lines)
