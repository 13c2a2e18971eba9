"""The requests of a step, carried out one after the other by one call: updates, pulses, reads, programmed planes.

A request is a row of int64 words: [function, number of words, status, arguments ...]. The function is called by its
address with the address of the status, which it sets: `DONE`; `ASIDE` if it has changed nothing, because Python
has to carry it out, or to say what is wrong with it; `RUNAWAY` if a law drove a weight to NaN. Real numbers among
the words are the bits of a float64. `mho.requests` writes the words; the named tuples list them.

Each function does what a verb of an array does, and gives the same bits. `arithmetic.py` has those for numbers.
"""

from typing import NamedTuple

import numpy as np

from mho.kernels.cpu.assemble import add_touched, write_changed
from mho.kernels.cpu.converters import bad_factors
from mho.kernels.cpu.converters import read as read_line
from mho.kernels.cpu.counted import count_pulses, counted_column, counted_rows
from mho.kernels.cpu.lines import bit_lines, slots_of
from mho.kernels.cpu.trains import trains_rows
from mho.numerics.address import array_at
from mho.numerics.machine_code import lean_kernel
from mho.numerics.native import call_at

DONE, ASIDE, RUNAWAY = 0, 1, 2
_I64, _F64, _F32, _U8, _U32 = np.int64, np.float64, np.float32, np.uint8, np.uint32
_UP, _DOWN, _READS, _CLIPPED, _LINES = 0, 1, 2, 3, 4  # places of `mho.tile.tally.Tally`


@lean_kernel
def run(words, at, n):
    """Carry out the requests among n words, from place `at`; return the place of the first not done, or n.

    words: the address of the first.
    """
    t = array_at(words, (n,), _I64)
    while at < n:
        call_at(t[at], (words + 8 * (at + 2),))
        if t[at + 2] != DONE:
            return at
        at += t[at + 1]
    return n


class UpdateWords(NamedTuple):
    """The arguments of `update`: w + lr d x^T by pulses. The first ten are the same for all updates of a tile."""

    arrays: int  # addresses of tables, see `memory.py`: of the tile, of its law,
    law: int
    lines: int  # of the room for its bit lines,
    drawing: int
    scratch: int
    plan: int  # and of what `memory.request_at` takes
    sent: int  # address of (out,) int64
    granularity: int  # bits
    tally: int  # addresses of counters: those of the tile, and its events of stream C2C
    events: int
    most: int  # slots of lines, and pulses, beyond which other threads help
    most_pulses: int
    is_checked: int  # x and d are known to be finite
    x: int  # addresses of float32
    d: int
    samples: int
    lr: int  # bits


@lean_kernel
def update(address):
    """Carry out an update of trains, see `mho.kernels.cpu.update.CpuKernels`."""
    t = array_at(address, (18,), _I64)
    real = array_at(address, (18,), _F64)
    plan = array_at(t[6], (8,), _I64)
    n_in, n_out, bl = plan[0], plan[1], plan[2]
    x, d, samples = t[14], t[15], t[16]
    t[0] = ASIDE
    if t[13] == 0:
        bad_x, bad_d = bad_factors(x, d, samples, n_in, n_out)
        if bad_x >= 0 or bad_d >= 0:
            return
    arrays, law = array_at(t[1], (19,), _I64), array_at(t[2], (5,), _I64)
    lines, drawing = array_at(t[3], (30,), _I64), array_at(t[4], (8,), _I64)
    scratch, sent = array_at(t[5], (26,), _I64), array_at(t[7], (n_out,), _I64)
    tally, events = array_at(t[9], (6,), _I64), array_at(t[10], (1,), _I64)
    event = events[0]
    call = plan, real[8], x, d, samples, real[17], event
    if samples * bl * (n_in + n_out) > t[11] and slots_of(*call) * (n_in + n_out) > t[11]:
        return
    work, clipped, live = bit_lines(0, 0, samples, lines, drawing, *call)
    if work > t[12]:
        return
    events[0] = event + 1
    up, down, bad = 0, 0, -1
    if work > 0:
        for i in range(n_out):
            sent[i] = 0
        up, down, bad = trains_rows(0, n_out, arrays, law, lines, sent, scratch, *call)
    if bad >= 0:
        t[0] = RUNAWAY
        return
    tally[_UP] += up
    tally[_DOWN] += down
    tally[_CLIPPED] += clipped
    tally[_LINES] += live
    t[0] = DONE


class PulseWords(NamedTuple):
    """The arguments of `pulse`: given numbers of pulses for one column, or for whole rows."""

    arrays: int  # addresses, as in `UpdateWords`
    law: int
    scratch: int
    by_row: int  # of `pulses.pulse_rows`
    whole: int  # of `pulses.pulse_all`
    marks: int  # of zeros, (in rounded up to 16,) uint8
    list_below: int
    low: int  # words of the tile's key
    high: int
    tally: int
    events: int
    most_pulses: int
    n: int  # address of contiguous float32
    row: int  # of the first cell
    rows: int  # 0: one column
    column: int


@lean_kernel
def pulse(address):
    """Send pulses as `mho.tile.Tile.pulse` does."""
    t = array_at(address, (17,), _I64)
    tables = array_at(t[1], (19,), _I64)
    n_out, n_in = tables[1], tables[2]
    rows, n = t[15], t[13]
    t[0] = ASIDE
    total = count_pulses(n, n_out if rows == 0 else rows * n_in)
    if total < 0 or total > t[12]:
        return
    tally, events = array_at(t[10], (6,), _I64), array_at(t[11], (1,), _I64)
    event = events[0]
    events[0] = event + 1
    t[0] = DONE
    if total == 0:
        return
    law, scratch = array_at(t[2], (5,), _I64), array_at(t[3], (26,), _I64)
    if rows == 0:
        up, down, bad = counted_column(tables, law, t[4], scratch, n, t[16], t[8], t[9], event)
    else:
        marks = array_at(t[6], ((n_in + 15) // 16 * 16,), _U8)
        first, last = t[14], t[14] + rows
        up, down, bad = counted_rows(
            first, last, tables, law, t[5], scratch, marks, t[7], n, first, t[8], t[9], event
        )
    if bad >= 0:
        t[0] = RUNAWAY
        return
    tally[_UP] += up
    tally[_DOWN] += down


class ReadWords(NamedTuple):
    """The arguments of `read`: one line of a matrix through the output converters."""

    source: int  # address of its first number
    stride: int
    n: int
    y: int  # address of n float32, written
    numbers: int  # address of (bound, step, sigma) float32
    converted: int
    key: int
    stream: int
    tally: int
    events: int  # of the stream
    z: int  # addresses of float32 and uint32 for n + 8
    words: int


@lean_kernel
def read(address):
    """Read a line as `mho.tile.readout.read_line` does."""
    t = array_at(address, (13,), _I64)
    tally, events = array_at(t[9], (6,), _I64), array_at(t[10], (1,), _I64)
    n = t[3]
    z, words = array_at(t[11], (n + 8,), _F32), array_at(t[12], (n + 8,), _U32)
    tally[_READS] += 1
    event = events[0]
    events[0] = event + 1
    read_line(t[1], t[2], t[4], n, array_at(t[5], (3,), _F32), t[6] != 0, t[7], t[8], event, z, words)
    t[0] = DONE


@lean_kernel
def program(address):
    """Set a plane to values, see `assemble.write_changed`: words are (plane, values, rows, columns, touched)."""
    t = array_at(address, (6,), _I64)
    write_changed(t[1], t[2], t[3], t[4], t[5])
    t[0] = DONE


@lean_kernel
def add_terms(address):
    """Bring a weight up to date, see `assemble.add_touched`: words are (out, first, second, bits of the factor,
    rows, columns, touched, touched too)."""
    t = array_at(address, (9,), _I64)
    factor = array_at(address, (9,), _F64)[4]
    add_touched(t[1], t[2], t[3], factor, t[5], t[6], t[7], t[8])
    t[0] = DONE


@lean_kernel
def add_all(address):
    """Bring a weight that is a sum of n arrays up to date on the lines that were touched; clear the marks.

    Words are (out, rows, columns, n), then of each array its address, the bits of its factor, and the address of
    its marks. Products are rounded before they are added.
    """
    n = array_at(address, (5,), _I64)[4]
    t = array_at(address, (5 + 3 * n,), _I64)
    real = array_at(address, (5 + 3 * n,), _F64)
    rows, columns = t[2], t[3]
    for i in range(rows + columns):
        is_touched = False
        for k in range(n):
            marks = array_at(t[7 + 3 * k], (rows + columns,), _U8)
            is_touched |= marks[i] != 0
            marks[i] = 0
        if not is_touched:
            continue
        at, step, length = (i * columns, 1, columns) if i < rows else (i - rows, columns, rows)
        out = array_at(t[1] + 4 * at, ((length - 1) * step + 1,), _F32)
        for k in range(n):
            w = array_at(t[5 + 3 * k] + 4 * at, ((length - 1) * step + 1,), _F32)
            factor = np.float32(real[6 + 3 * k])
            for j in range(length):
                product = factor * w[j * step]
                out[j * step] = product if k == 0 else out[j * step] + product
    t[0] = DONE


@lean_kernel
def leave(address):
    """Leave the request to Python."""
    array_at(address, (1,), _I64)[0] = ASIDE
