"""What kernels are given: a tile's arrays, the update that is asked for, and the room for its bit lines."""

from typing import NamedTuple

import numpy as np


class Arrays(NamedTuple):
    """A tile's memory; `visible`, `reference` and `counts` may be empty."""

    cells: np.ndarray  # (out, in) float32, hidden weights
    planes: np.ndarray  # (k, out, in) float32, parameters that differ from cell to cell
    visible: np.ndarray  # (out, in) float32, apparent weights
    reference: np.ndarray  # (out, in) float32
    counts: np.ndarray  # (2, out, in) int32, up and down pulses of each cell


class Request(NamedTuple):
    """An update lr d x^T, in pulses; key and event name its random numbers (`philox.call_words`)."""

    x: np.ndarray  # (samples, in) float32, finite
    d: np.ndarray  # (samples, out) float32, finite
    lr: float
    granularity: float  # dw_min
    bl: int
    update_management: bool
    bl_management: bool
    key: tuple[np.uint32, np.uint32]  # low and high word of the tile's key
    event: int
    list_below: int  # a group with fewer firing columns is kept as a list, a fuller one as marks alone


class Lines(NamedTuple):
    """The bit lines of a block of samples. Columns come in two groups: those with x > 0, then those with x < 0.

    The last three are empty where the pulses are only to be counted.
    """

    words: np.ndarray  # (samples, ceil(bl / 32), in + 3) uint32: bit k % 32 of word k // 32: fires in slot k
    row_words: np.ndarray  # (samples, ceil(bl / 32), out + 3) uint32: the same for rows
    row_down: np.ndarray  # (samples, out) uint8: 1 where lr d < 0
    row_pulses: np.ndarray  # (samples, out) int64: pulses of each row
    negative: np.ndarray  # (samples,) uint8: 1 where some x < 0
    marks: (
        np.ndarray
    )  # (samples, bl, in rounded up to 16) uint8: 1 or 2, its group, where a column fires; else 0
    fired: np.ndarray  # (samples, bl, 2) uint64: how many columns of each group fire
    columns: (
        np.ndarray
    )  # (samples * bl * in + 1) uint32: slot by slot the columns that fire, if a group is short


def new_lines(samples: int, bl: int, n_in: int, n_out: int, by_slot: bool = True) -> Lines:
    """Room for the bit lines of a block; `by_slot`: also for the columns sorted by slot."""
    words, sorted_samples = (bl + 31) // 32, samples if by_slot else 0
    return Lines(
        words=np.zeros((samples, words, n_in + 3), np.uint32),
        row_words=np.zeros((samples, words, n_out + 3), np.uint32),
        row_down=np.empty((samples, n_out), np.uint8),
        row_pulses=np.empty((samples, n_out), np.int64),
        negative=np.empty(samples, np.uint8),
        marks=np.zeros((sorted_samples, bl, padded(n_in)), np.uint8),
        fired=np.empty((sorted_samples, bl, 2), np.uint64),
        columns=np.empty(sorted_samples * bl * n_in + 1, np.uint32),
    )


def padded(n: int) -> int:
    """n rounded up to whole vectors of 16."""
    return (n + 15) // 16 * 16


class Drawing(NamedTuple):
    """What one thread needs while it draws lines; each has room for max(in, out) + 4."""

    x_threshold: np.ndarray  # uint64, zero beyond `in`: such lines never fire
    d_threshold: np.ndarray  # uint64, zero beyond `out`
    open_slots: np.ndarray  # uint32
    drawn: np.ndarray  # uint32


def new_drawing(n_in: int, n_out: int) -> Drawing:
    """Room for `lines.bit_lines` of one thread."""
    width = max(n_in, n_out) + 4
    return Drawing(*(np.zeros(width, kind) for kind in (np.uint64, np.uint64, np.uint32, np.uint32)))


class Scratch(NamedTuple):
    """What the rows of one thread need while they are pulsed."""

    z: np.ndarray  # float32: noise of the next pulses
    words: np.ndarray  # uint32: what it is made from
    wide: np.ndarray  # (in rounded up to 16,) float32: noise of one slot, column by column
    par: np.ndarray  # (k, 1, in) float32: parameters of the cells at hand
    new: np.ndarray  # (in,) float32: their weights
    n_pulses: np.ndarray  # (in,) int64: pulses of the cells, if they are rounded
    columns: np.ndarray  # (in + 1,) uint32: those that get one in this round
    counts: np.ndarray  # (2, in) int32: up and down pulses of the cells, if they are counted


NOISE = 2048  # normal numbers made at a time: they stay in the first-level cache


def new_scratch(n_in: int, n_planes: int) -> Scratch:
    """Room for the row kernels of one thread."""
    room = max(n_in, NOISE) + 16
    return Scratch(
        z=np.zeros(room, np.float32),
        words=np.empty(room, np.uint32),
        wide=np.zeros(padded(n_in), np.float32),
        par=np.empty((n_planes, 1, n_in), np.float32),
        new=np.empty(n_in, np.float32),
        n_pulses=np.zeros(n_in, np.int64),
        columns=np.empty(n_in + 1, np.uint32),
        counts=np.zeros((2, n_in), np.int32),
    )
