"""Given numbers of pulses for all cells, for some rows or for one column.

The same loops for all laws: a law's own part is called by its address.

The pulses of a row are numbered in the order in which they are sent: the cells' k-th pulses together, k = 0, 1,
..., first those of the columns with n > 0, then those with n < 0. Noise is made from these numbers as there.
"""

import numpy as np

from mho.kernels.cpu.finish import finish_row
from mho.kernels.cpu.memory import arrays_at, scratch_at
from mho.kernels.cpu.trains import C2C, law_at, noise_for, send_lists
from mho.numerics.address import array_at, floats_at
from mho.numerics.compile import loop
from mho.numerics.machine_code import lean_kernel
from mho.numerics.math32 import select32
from mho.numerics.native import address_in, call_at
from mho.numerics.normal import normal_pair
from mho.numerics.philox import call_words, philox
from mho.numerics.vector import LANES, spread, wide

MOST = 2.0**24  # pulses of a cell: from here on float32 holds no odd numbers
_ZERO, _NONE, _LANES = np.uint32(0), np.uint64(0), np.uint64(LANES)
_NEITHER, _UP, _DOWN = np.uint8(0), np.uint8(1), np.uint8(2)


@lean_kernel
def count_pulses(address, n):
    """Return the sum of |v| of the n float32 at an address, or -1 if one is not finite, not whole, or too large."""
    wide()
    values = floats_at(address, n)
    total, fine = 0, True
    for q in range(n):
        size = abs(values[q])
        ok = size < np.float32(MOST)
        number = np.int32(size if ok else np.float32(0.0))
        fine &= ok & (np.float32(number) == size)
        total += number
    return total if fine else -1


@loop
def take(counts, n_pulses):
    """Set n_pulses = counts, as int32; return the largest |n| and the sum of all."""
    wide()
    most, due = np.int32(0), 0
    for j in range(len(n_pulses)):
        n = np.int32(counts[j])
        n_pulses[j] = n
        due += abs(n)
        most = max(most, abs(n))
    return np.int64(most), due


@loop
def mark(n_pulses, k, marks):
    """Set marks[j] = 1 where n > k, 2 where n < -k, else 0, unless all are alike; return how many are 1, and 2."""
    wide()
    n = np.uint64(len(n_pulses))
    ups, downs = 0, 0
    for j in range(n):
        ups += n_pulses[j] > k
        downs += n_pulses[j] < -k
    if max(ups, downs) < len(n_pulses):
        for j in range(n):
            way = _UP if n_pulses[j] > k else _NEITHER
            marks[j] = _DOWN if n_pulses[j] < -k else way
    return ups, downs


@lean_kernel
def counted_rows(first, last, arrays, law, every, scratch, marks, list_below, counts, row, low, high, event):
    """Send |n| pulses to each cell of rows first <= i < last, up where n > 0 and down where n < 0.

    Args:
        arrays, law, scratch: as in `trains.trains_rows`; every: address of `pulses.pulse_all`.
        marks: zeros, (in rounded up to 16,) uint8.
        list_below: as in `memory.Request`.
        counts: address of n, (rows, in) float32, whole numbers, the first for row number `row`.
        low, high: words of the tile's key; event: of stream C2C.
    Returns: (up pulses, down pulses, a row with a weight that is not finite or -1).
    """
    arrays, law, table, scratch = arrays_at(arrays), law_at(law), address_in(scratch), scratch_at(scratch)
    segments = scratch.segments
    wide()
    n_in = arrays.cells.shape[1]
    counts = array_at(counts, (last - row, n_in), np.float32)
    n_pulses, columns = scratch.counts[0], scratch.columns
    noise_key = call_words((np.uint32(low), np.uint32(high)), C2C, event)
    total, downs, bad = 0, 0, -1
    for i in range(np.uint64(first), np.uint64(last)):
        most, due = take(counts[i - np.uint64(row)], n_pulses)
        if due == 0:
            continue
        p, start, end = 0, 0, 0
        for k in range(most):
            fired = mark(n_pulses, np.int32(k), marks)
            for group in range(2):
                n, way = fired[group], np.uint8(1 + group)
                if n == 0:
                    continue
                if law.is_noisy and p + n > end:
                    start, end = noise_for(p, n, due, start, end, scratch, i, noise_key)
                at = np.uint64(p - start)
                if n == n_in:
                    z = address_in(scratch.z) + 4 * (p - start)
                    call_at(every, (law.arrays, law.numbers, z, np.int64(i), group))
                elif n < list_below:
                    m = 0
                    for j in range(n_in):
                        columns[m] = j
                        m += marks[j] == way
                    segments[0, 0], segments[0, 1], segments[0, 2], segments[0, 3] = 0, n, group, p - start
                    send_lists(law, arrays, i, columns, scratch, table, 1, False)
                else:
                    if law.is_noisy:
                        for j in range(_NONE, np.uint64(len(marks)), _LANES):
                            at += spread(scratch.z, at, marks, j, way, scratch.wide, j)
                    where = address_in(scratch.wide), address_in(marks)
                    call_at(law.marked, (law.arrays, law.numbers, *where, np.int64(i), 1 + group, group))
                p += n
                downs += n * group
        total += p
        if arrays.counts.shape[0] > 0:
            for j in range(n_in):
                arrays.counts[0, i, j] += max(n_pulses[j], np.int32(0))
                arrays.counts[1, i, j] -= min(n_pulses[j], np.int32(0))
        arrays.touched[i] = 1
        if not finish_row(arrays, i):
            bad = np.int64(i)
    return total - downs, downs, bad


@lean_kernel
def counted_column(arrays, law, by_row, scratch, counts, column, low, high, event):
    """Send the pulses of one column to all rows, counts (out,): the noise of many rows is made together.

    by_row: address of `pulses.pulse_rows`.
    """
    arrays, law, scratch, given = arrays_at(arrays), law_at(law), scratch_at(scratch), counts
    wide()
    cells, rows, z, words = arrays.cells, scratch.columns, scratch.z, scratch.words
    where = address_in(z), address_in(rows)
    n_out, n_in = cells.shape
    counts, j = floats_at(counts, n_out), np.uint64(column)
    key = call_words((np.uint32(low), np.uint32(high)), C2C, event)
    total, downs, bad = 0, 0, -1
    for first in range(0, n_out, n_in):  # as many rows as there is room for
        m, k = 0, 0
        for i in range(first, min(first + n_in, n_out)):
            rows[m] = i
            m += counts[i] != 0
        due = m
        while m > 0:
            if law.is_noisy:
                for q in range(m):
                    lanes = philox(key[0], key[1], np.uint32(k // 8), rows[q], _ZERO, _ZERO)
                    low_half = lanes[0] if k % 4 < 2 else lanes[1]
                    words[q] = low_half if k % 8 < 4 else (lanes[2] if k % 4 < 2 else lanes[3])
                for q in range(m):
                    pair = normal_pair(words[q])
                    z[q] = select32(k % 2 == 0, pair[0], pair[1])
            call_at(by_row, (law.arrays, law.numbers, *where, m, column, given))
            live = 0
            for q in range(np.uint64(m)):
                i = np.uint64(rows[q])
                downs += counts[i] < 0
                rows[live] = i
                live += abs(counts[i]) > k + 1
            total += m
            m = live
            k += 1
        if due > 0:
            arrays.touched[n_out + column] = 1
    for i in range(np.uint64(n_out)):
        if arrays.counts.shape[0] > 0:
            arrays.counts[0, i, j] += np.int32(max(counts[i], np.float32(0.0)))
            arrays.counts[1, i, j] -= np.int32(min(counts[i], np.float32(0.0)))
        if counts[i] != 0:
            if arrays.reference.shape[0] > 0:
                arrays.visible[i, j] = cells[i, j] - arrays.reference[i, j]
            if not abs(cells[i, j]) < np.inf:
                bad = np.int64(i)
    return total - downs, downs, bad
