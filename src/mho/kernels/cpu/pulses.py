"""Pulses on the cells of one row: all that the loops of an update know of a law. `kernels/law/build.py` joins this
module to each law. As it stands, cells are ideal.

These functions are compiled for each law, and called by their address from loops that are compiled once for all
laws (`trains.py`, `counted.py`). Arguments are whole numbers, see `mho.numerics.native`:

    arrays, scratch: addresses of the tables of `Arrays` and `Scratch`; numbers: of those that all cells share.
"""

import numpy as np

from mho.kernels.cpu.ideal import CHEAP, NOISY, SHARE, shared, step_down, step_up  # noqa: F401  rewritten
from mho.kernels.cpu.memory import memory_at, scratch_at
from mho.numerics.address import array_at, floats_at
from mho.numerics.compile import part
from mho.numerics.machine_code import lean_kernel
from mho.numerics.math32 import select32
from mho.numerics.vector import wide

_ONE, _NONE = np.uint64(1), np.uint64(0)


@part
def _memory(arrays, numbers):
    arrays, numbers = memory_at(arrays, numbers)
    return arrays, shared(numbers)


@lean_kernel
def pulse_lists(arrays, numbers, scratch, columns, row, n):
    """Send one pulse to each cell of row `row` in the columns of n segments, segment by segment.

    scratch.segments: (first, last + 1, down, at) of each, the places in `columns`, the direction, and the place in
    scratch.z of the first pulse's noise. columns: address of uint32 numbers.

    All positions are uint64: Numba then spares the test for negative indices. A cheap law is applied cell by
    cell; one with exponentials is worth gathering the cells first, so that it vectorises. Both give the same
    bits.
    """
    wide()
    arrays, scal = _memory(arrays, numbers)
    scratch = scratch_at(array_at(scratch, (26,), np.int64))
    cells, planes, z, par, new = arrays.cells, arrays.planes, scratch.z, scratch.par, scratch.new
    i, segments = np.uint64(row), scratch.segments
    for m in range(np.uint64(n)):
        a, b = np.uint64(segments[m, 0]), np.uint64(segments[m, 1])
        down, at = segments[m, 2], np.uint64(segments[m, 3])
        listed = array_at(columns + 4 * np.int64(a), (np.int64(b - a),), np.uint32)
        n_cells = b - a
        if CHEAP:
            if down:
                for q in range(n_cells):
                    j = listed[q]
                    noise = z[at + q if NOISY else _NONE]
                    cells[i, j] = step_down(cells[i, j], noise, planes, i, j, scal)
            else:
                for q in range(n_cells):
                    j = listed[q]
                    noise = z[at + q if NOISY else _NONE]
                    cells[i, j] = step_up(cells[i, j], noise, planes, i, j, scal)
            continue
        for q in range(n_cells):
            new[q] = cells[i, listed[q]]
        for c in range(planes.shape[0]):
            for q in range(n_cells):
                par[c, _NONE, q] = planes[c, i, listed[q]]
        if down:
            for q in range(n_cells):
                new[q] = step_down(new[q], z[at + q if NOISY else _NONE], par, _NONE, q, scal)
        else:
            for q in range(n_cells):
                new[q] = step_up(new[q], z[at + q if NOISY else _NONE], par, _NONE, q, scal)
        for q in range(n_cells):
            cells[i, listed[q]] = new[q]


@lean_kernel
def pulse_marked(arrays, numbers, z, marks, row, mark, down):
    """Send one pulse to the cells of a row with marks[j] == mark, noise z[j]: all are computed, those kept.

    z, marks: addresses of a number and a mark for each column.
    """
    wide()
    arrays, scal = _memory(arrays, numbers)
    cells, planes, i = arrays.cells, arrays.planes, np.uint64(row)
    n, way = np.uint64(cells.shape[1]), np.uint8(mark)
    z, marks = floats_at(z, cells.shape[1]), array_at(marks, (cells.shape[1],), np.uint8)
    if down:
        for j in range(n):
            new = step_down(cells[i, j], z[j if NOISY else _NONE], planes, i, j, scal)
            cells[i, j] = select32(marks[j] == way, new, cells[i, j])
    else:
        for j in range(n):
            new = step_up(cells[i, j], z[j if NOISY else _NONE], planes, i, j, scal)
            cells[i, j] = select32(marks[j] == way, new, cells[i, j])


@lean_kernel
def pulse_all(arrays, numbers, z, row, down):
    """Send one pulse to every cell of a row, noise z[j]; z: the address."""
    wide()
    arrays, scal = _memory(arrays, numbers)
    cells, planes, i = arrays.cells, arrays.planes, np.uint64(row)
    n, z = np.uint64(cells.shape[1]), floats_at(z, cells.shape[1])
    if down:
        for j in range(n):
            cells[i, j] = step_down(cells[i, j], z[j if NOISY else _NONE], planes, i, j, scal)
    else:
        for j in range(n):
            cells[i, j] = step_up(cells[i, j], z[j if NOISY else _NONE], planes, i, j, scal)


@lean_kernel
def pulse_rows(arrays, numbers, z, rows, n, column, counts):
    """Send one pulse to each cell of a column in n rows, down where counts[row] < 0; noise z[q].

    z, rows, counts: addresses of n float32, of n uint32, and of a float32 for each row of the tile.
    """
    wide()
    arrays, scal = _memory(arrays, numbers)
    cells, planes, j = arrays.cells, arrays.planes, np.uint64(column)
    z, rows = floats_at(z, n), array_at(rows, (n,), np.uint32)
    counts = floats_at(counts, cells.shape[0])
    for q in range(np.uint64(n)):
        i = np.uint64(rows[q])
        noise = z[q if NOISY else _NONE]
        if counts[i] < 0:
            cells[i, j] = step_down(cells[i, j], noise, planes, i, j, scal)
        else:
            cells[i, j] = step_up(cells[i, j], noise, planes, i, j, scal)
