"""What a tile counts, and what one update of it sent."""

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
    """What one update sent: pulses up and down, and how many of its bit lines were clipped at p = 1."""

    up: int
    down: int
    clipped: int
    lines: int


def total(infos: Iterable[UpdateInfo]) -> UpdateInfo:
    """What several updates sent together."""
    up, down, clipped, lines = (sum(numbers) for numbers in zip(*infos, strict=True))
    return UpdateInfo(up, down, clipped, lines)
