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


class Lines(NamedTuple):
    """The bit lines of a block of samples, and scratch memory to draw them."""

    columns: (
        np.ndarray
    )  # uint32: firing columns, by sample and slot, those with x > 0 before those with x < 0
    ends: np.ndarray  # (samples, bl, 3) uint64: each slot's part of `columns`: [start, end of x > 0, end]
    row_bits: np.ndarray  # (samples, out, ceil(bl / 64)) uint64: the slots in which a row fires
    row_down: np.ndarray  # (samples, out) uint8: 1 where lr d < 0
    row_pulses: np.ndarray  # (out,) int64: pulses that each row gets from this block
    fire: np.ndarray  # uint8, and so on: scratch of length max(in, out) + 4
    negative: np.ndarray  # uint8
    x_threshold: np.ndarray  # uint64
    d_threshold: np.ndarray  # uint64


def new_lines(samples: int, bl: int, n_in: int, n_out: int) -> Lines:
    """Room for the bit lines of a block."""
    width = max(n_in, n_out) + 4
    return Lines(
        columns=np.empty(samples * bl * n_in + 1, np.uint32),
        ends=np.empty((samples, bl, 3), np.uint64),
        row_bits=np.empty((samples, n_out, (bl + 63) // 64), np.uint64),
        row_down=np.empty((samples, n_out), np.uint8),
        row_pulses=np.empty(n_out, np.int64),
        fire=np.zeros(width, np.uint8),
        negative=np.zeros(width, np.uint8),
        x_threshold=np.zeros(width, np.uint64),
        d_threshold=np.zeros(width, np.uint64),
    )


class Scratch(NamedTuple):
    """What the rows of one thread need while they are pulsed."""

    z: np.ndarray  # float32: noise of the next pulses
    words: np.ndarray  # uint32: what it is made from
    par: np.ndarray  # (k, 1, in) float32: parameters of the cells at hand
    new: np.ndarray  # (in,) float32: their weights
