"""The memory of update kernels: a tile's arrays, the update that is asked for, and room for its bit lines.

Python passes each group as a table, an int64 array that holds the address and the shape of each of its arrays
in turn; compiled code makes the arrays again (`*_at`). A named tuple of arrays would cost 0.4 microseconds an
array in every call, more than a small update.
"""

from typing import NamedTuple

import numpy as np

from mho.numerics.address import array_at
from mho.numerics.compile import part

_U8, _U32, _U64, _I32, _I64, _F32 = np.uint8, np.uint32, np.uint64, np.int32, np.int64, np.float32


_MOST_NUMBERS = 64


class Arrays(NamedTuple):
    """A tile's memory; `visible`, `reference` and `counts` may be empty."""

    cells: np.ndarray  # (out, in) float32, hidden weights
    planes: np.ndarray  # (k, out, in) float32, parameters that differ from cell to cell
    visible: np.ndarray  # (out, in) float32, apparent weights
    reference: np.ndarray  # (out, in) float32
    counts: np.ndarray  # (2, out, in) int32, up and down pulses of each cell
    touched: np.ndarray  # (out + in,) uint8, set to 1 for the rows, or for the only column, that get pulses


@part
def arrays_at(t):
    """Return `Arrays` from their table."""
    return Arrays(
        array_at(t[0], (t[1], t[2]), _F32),
        array_at(t[3], (t[4], t[5], t[6]), _F32),
        array_at(t[7], (t[8], t[9]), _F32),
        array_at(t[10], (t[11], t[12]), _F32),
        array_at(t[13], (t[14], t[15], t[16]), _I32),
        array_at(t[17], (t[18],), _U8),
    )


@part
def memory_at(arrays, numbers):
    """Return `Arrays` and the numbers that all cells share from the addresses of a table and of these numbers."""
    return arrays_at(array_at(arrays, (19,), _I64)), array_at(numbers, (_MOST_NUMBERS,), _F32)


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


@part
def request_at(call):
    """Return a `Request` from the part that all updates of a tile share, and from the rest.

    Args: call = (plan, granularity, x, d, samples, lr, event)
        plan: int64 [in, out, bl, update_management, bl_management, low word, high word of the key, list_below].
        granularity: dw_min; x, d: addresses of contiguous float32 matrices of `samples` rows; lr, event.
    """
    plan, granularity, x, d, samples, lr, event = call
    return Request(
        array_at(x, (samples, plan[0]), _F32),
        array_at(d, (samples, plan[1]), _F32),
        lr,
        granularity,
        plan[2],
        plan[3] != 0,
        plan[4] != 0,
        (np.uint32(plan[5]), np.uint32(plan[6])),
        event,
        plan[7],
    )


class BitLines(NamedTuple):
    """The bit lines of a block of samples. Columns come in two groups: those with x > 0, then those with x < 0.

    The last three are empty where the pulses are only to be counted, and no sample is marked as live then.
    """

    words: np.ndarray  # (samples, ceil(bl / 32), in + 3) uint32: bit k % 32 of word k // 32: fires in slot k
    row_words: np.ndarray  # (samples, ceil(bl / 32), out + 3) uint32: the same for rows
    row_down: np.ndarray  # (samples, out) uint8: 1 where lr d < 0
    row_pulses: np.ndarray  # (samples, out) int64: pulses of each row
    negative: np.ndarray  # (samples,) uint8: 1 where some x < 0
    is_live: np.ndarray  # (samples,) uint8: 1 where a sample sends pulses
    live: np.ndarray  # (samples,) uint32: those samples; every thread that sends fills it, alike
    marks: (
        np.ndarray
    )  # (samples, bl, in rounded up to 16) uint8: 1 or 2, its group, where a column fires; else 0
    fired: np.ndarray  # (samples, bl, 2) uint64: how many columns of each group fire
    columns: (
        np.ndarray
    )  # (samples * bl * in + 1) uint32: slot by slot the columns that fire, if a group is short


@part
def lines_at(t):
    """Return `BitLines` from their table."""
    return BitLines(
        array_at(t[0], (t[1], t[2], t[3]), _U32),
        array_at(t[4], (t[5], t[6], t[7]), _U32),
        array_at(t[8], (t[9], t[10]), _U8),
        array_at(t[11], (t[12], t[13]), _I64),
        array_at(t[14], (t[15],), _U8),
        array_at(t[16], (t[17],), _U8),
        array_at(t[18], (t[19],), _U32),
        array_at(t[20], (t[21], t[22], t[23]), _U8),
        array_at(t[24], (t[25], t[26], t[27]), _U64),
        array_at(t[28], (t[29],), _U32),
    )


def new_lines(samples: int, bl: int, n_in: int, n_out: int, by_slot: bool = True) -> BitLines:
    """Return room for the bit lines of a block; `by_slot`: also for the columns sorted by slot."""
    words, sorted_samples = (bl + 31) // 32, samples if by_slot else 0
    return BitLines(
        words=np.zeros((samples, words, n_in + 3), _U32),
        row_words=np.zeros((samples, words, n_out + 3), _U32),
        row_down=np.empty((samples, n_out), _U8),
        row_pulses=np.empty((samples, n_out), _I64),
        negative=np.empty(samples, _U8),
        is_live=np.empty(samples, _U8),
        live=np.empty(samples, _U32),
        marks=np.zeros((sorted_samples, bl, _padded(n_in)), _U8),
        fired=np.empty((sorted_samples, bl, 2), _U64),
        columns=np.empty(sorted_samples * bl * n_in + 1, _U32),
    )


def _padded(n: int) -> int:
    """Return n rounded up to whole vectors of 16."""
    return (n + 15) // 16 * 16


class Drawing(NamedTuple):
    """The room of one thread that draws lines; each array has room for max(in, out) + 4."""

    x_threshold: np.ndarray  # uint64, zero beyond `in`: such lines never fire
    d_threshold: np.ndarray  # uint64, zero beyond `out`
    open_slots: np.ndarray  # uint32
    drawn: np.ndarray  # uint32


@part
def drawing_at(t):
    """Return a `Drawing` from its table."""
    return Drawing(
        array_at(t[0], (t[1],), _U64),
        array_at(t[2], (t[3],), _U64),
        array_at(t[4], (t[5],), _U32),
        array_at(t[6], (t[7],), _U32),
    )


def new_drawing(n_in: int, n_out: int) -> Drawing:
    """Return room for `lines.bit_lines` of one thread."""
    width = max(n_in, n_out) + 4
    return Drawing(*(np.zeros(width, kind) for kind in (_U64, _U64, _U32, _U32)))


class Scratch(NamedTuple):
    """The room of one thread that sends pulses to rows."""

    z: np.ndarray  # float32: noise of the next pulses, then that of rows with few
    words: np.ndarray  # uint32: the words that z is made from
    wide: np.ndarray  # (in rounded up to 16,) float32: noise of one slot, column by column
    par: np.ndarray  # (k, 1, in) float32: parameters of the cells at hand
    new: np.ndarray  # (in,) float32: their weights
    n_pulses: np.ndarray  # (in,) int64: pulses of the cells, if they are rounded
    columns: np.ndarray  # (in + 1,) uint32: those that get one in this round
    counts: np.ndarray  # (2, in) int32: up and down pulses of the cells, if they are counted
    segments: np.ndarray  # (SEGMENTS, 4) int64: pulses that wait for the law, see `pulses.pulse_lists`
    due: np.ndarray  # (TOGETHER,) int64: pulses of the next rows
    place: (
        np.ndarray
    )  # (TOGETHER,) uint64: where the noise of these rows stands in z, or 0 if it is not made yet


@part
def scratch_at(t):
    """Return a `Scratch` from its table."""
    return Scratch(
        array_at(t[0], (t[1],), _F32),
        array_at(t[2], (t[3],), _U32),
        array_at(t[4], (t[5],), _F32),
        array_at(t[6], (t[7], t[8], t[9]), _F32),
        array_at(t[10], (t[11],), _F32),
        array_at(t[12], (t[13],), _I64),
        array_at(t[14], (t[15],), _U32),
        array_at(t[16], (t[17], t[18]), _I32),
        array_at(t[19], (t[20], t[21]), _I64),
        array_at(t[22], (t[23],), _I64),
        array_at(t[24], (t[25],), _U64),
    )


SEGMENTS = 512  # slots whose pulses on a row are sent by one call
TOGETHER = 256  # rows whose pulses are counted, and whose noise is made, in one loop
NOISE = 2048  # normal numbers made at a time: they stay in the first-level cache


def new_scratch(n_in: int, n_planes: int) -> Scratch:
    """Return room for the row kernels of one thread."""
    room = max(n_in, NOISE) + 16
    return Scratch(
        z=np.zeros(room + 8 * TOGETHER, _F32),
        words=np.empty(room, _U32),
        wide=np.zeros(_padded(n_in), _F32),
        par=np.empty((n_planes, 1, n_in), _F32),
        new=np.empty(n_in, _F32),
        n_pulses=np.zeros(n_in, _I64),
        columns=np.empty(n_in + 1, _U32),
        counts=np.zeros((2, n_in), _I32),
        segments=np.zeros((SEGMENTS, 4), _I64),
        due=np.zeros(TOGETHER, _I64),
        place=np.zeros(TOGETHER, _U64),
    )


def table_of(arrays: NamedTuple) -> np.ndarray:
    """Return the table of a group of contiguous arrays, which must outlive it."""
    entries: list[int] = []
    for array in arrays:
        assert array.flags.c_contiguous
        entries += [array.ctypes.data, *array.shape]
    return np.array(entries, np.int64)
