"""The pulsed update of a range of rows. `kernels/build.py` joins this text to each law's `step_up` and
`step_down`; as it stands, with the ideal cell, it is an ordinary module.

Every pulse sees the weight that the one before it left. Pulses of one sample on one row are numbered in the
order in which they fire (slot by slot; within a slot columns with x > 0, then those with x < 0): pulse p
takes its cycle-to-cycle noise from Philox counter (p // 4, row, sample, 0), word p % 4. Rows are
independent, so any division of the rows among threads gives the same bits.
"""

import numpy as np
from numba import njit

from mho.kernels.normal import fill_normals
from mho.kernels.philox import philox

from mho.kernels.ideal import NOISY, step_down, step_up  # law: build.py puts the law's own here

_ONE = np.uint64(1)
_MASK = np.uint64(63)


@njit(nogil=True, fastmath=False, error_model="numpy")
def pulse_columns(row, planes, i, columns, a, b, down, z, p, scal, par, new):
    """One pulse on each of the cells columns[a:b] of row i, all up or all down; returns b - a."""
    n = b - a
    for q in range(n):
        new[q] = row[columns[a + q]]
    for c in range(planes.shape[0]):
        plane = planes[c, i]
        for q in range(n):
            par[c, q] = plane[columns[a + q]]
    if down:
        for q in range(n):
            new[q] = step_down(new[q], z[p + q], par, q, scal)
    else:
        for q in range(n):
            new[q] = step_up(new[q], z[p + q], par, q, scal)
    for q in range(n):
        row[columns[a + q]] = new[q]
    return n


@njit(nogil=True, fastmath=False, error_model="numpy")
def finish_row(row, i, visible, reference):
    """Writes the apparent weight of a row that was pulsed; returns whether all its weights are finite."""
    poison = np.float32(0.0)
    for j in range(row.shape[0]):
        poison += row[j] * np.float32(0.0)
    if reference.shape[0] > 0:
        for j in range(row.shape[0]):
            visible[i, j] = row[j] - reference[i, j]
    return poison == np.float32(0.0)


@njit(nogil=True, fastmath=False, error_model="numpy")
def count_columns(counts, i, columns, a, b, down):
    """Adds one pulse to the per-cell counters, where there are any."""
    if counts.shape[0] > 0:
        for q in range(a, b):
            counts[down, i, columns[q]] += 1


@njit(nogil=True, fastmath=False, error_model="numpy", cache=True)
def trains_rows(
    cells, planes, scal, columns, ends, row_bits, row_down, key, first, rows, visible, reference, counts
):
    """Applies the pulses of a block of samples (see kernels/lines.py) to rows[0] <= i < rows[1].

    Args:
        cells: (out, in) float32, hidden weights, changed in place; planes: (k, out, in) float32.
        key: (low, high) words of the c2c call key; first: global index of the first sample.
        visible, reference: (out, in), or both empty where the cells have no reference.
        counts: (2, out, in) int32 up and down pulses of each cell, or empty.
    Returns: (up pulses, down pulses, a row with a weight that is not finite or -1).
    """
    samples, slots = ends.shape[0], ends.shape[1]
    room = cells.shape[1] * slots + 4 if NOISY else cells.shape[1] + 4
    z = np.zeros(room, np.float32)
    par = np.empty((planes.shape[0], cells.shape[1]), np.float32)
    new = np.empty(cells.shape[1], np.float32)
    up, down, bad = 0, 0, -1
    for i in range(rows[0], rows[1]):
        row = cells[i]
        touched = False
        for s in range(samples):
            total = 0
            for k in range(slots):
                if row_bits[s, i, k >> 6] >> (np.uint64(k) & _MASK) & _ONE:
                    total += ends[s, k, 2] - ends[s, k, 0]
            if total == 0:
                continue
            touched = True
            if NOISY:
                fill_normals(z, total, key[0], key[1], np.uint32(i), np.uint32(first + s), np.uint32(0))
            p = 0
            d_down = row_down[s, i]
            for k in range(slots):
                if row_bits[s, i, k >> 6] >> (np.uint64(k) & _MASK) & _ONE:
                    a, m, b = ends[s, k, 0], ends[s, k, 1], ends[s, k, 2]
                    if m > a:
                        n = pulse_columns(
                            row, planes, i, columns, a, m, d_down, z, p if NOISY else 0, scal, par, new
                        )
                        count_columns(counts, i, columns, a, m, d_down)
                        p += n
                        down += n * d_down
                    if b > m:
                        n = pulse_columns(
                            row, planes, i, columns, m, b, 1 - d_down, z, p if NOISY else 0, scal, par, new
                        )
                        count_columns(counts, i, columns, m, b, 1 - d_down)
                        p += n
                        down += n * (1 - d_down)
            up += p
        if touched and not finish_row(row, i, visible, reference):
            bad = i
    return up - down, down, bad


@njit(nogil=True, fastmath=False, error_model="numpy", cache=True)
def rounded_rows(
    cells, planes, scal, x, d, lr, granularity, bl, round_key, key, first, rows, visible, reference, counts
):
    """Stochastic rounding instead of trains: each cell gets |lr x d| / dw_min pulses, rounded up or down at
    random so that the mean is right, bl at most; its round-th pulses are sent together, round by round.

    Rounding uses Philox counter (column // 4, row, sample, 0) of `round_key`; noise is numbered as above,
    with rounds in place of slots. Arguments and results as in `trains_rows`, and the clipped cells.
    """
    samples, n_in = x.shape
    z = np.zeros(n_in * bl + 4 if NOISY else n_in + 4, np.float32)
    par = np.empty((planes.shape[0], n_in), np.float32)
    new = np.empty(n_in, np.float32)
    n_pulses = np.zeros(n_in + 4, np.int32)
    columns = np.empty(n_in + 1, np.int32)
    up, down, clipped, bad = 0, 0, 0, -1
    for i in range(rows[0], rows[1]):
        row = cells[i]
        touched = False
        for s in range(samples):
            scale = np.float64(abs(lr)) * abs(np.float64(d[s, i])) / granularity
            if scale == 0.0:
                continue
            d_down = np.uint8((d[s, i] < 0) != (lr < 0))
            total, most = 0, 0
            for q in range((n_in + 3) // 4):
                words = philox(
                    round_key[0], round_key[1], np.uint32(q), np.uint32(i), np.uint32(first + s), np.uint32(0)
                )
                for lane in range(min(4, n_in - 4 * q)):
                    want = scale * abs(np.float64(x[s, 4 * q + lane]))
                    if want > bl:
                        clipped += 1
                        want = np.float64(bl)
                    n = int(want)
                    n += np.float64(words[lane]) < (want - n) * 4294967296.0
                    n_pulses[4 * q + lane] = n
                    total += n
                    most = max(most, n)
            if total == 0:
                continue
            touched = True
            if NOISY:
                fill_normals(z, total, key[0], key[1], np.uint32(i), np.uint32(first + s), np.uint32(0))
            p = 0
            for k in range(most):
                m = 0
                for j in range(n_in):
                    columns[m] = j
                    m += n_pulses[j] > k and x[s, j] > 0
                b = m
                for j in range(n_in):
                    columns[b] = j
                    b += n_pulses[j] > k and x[s, j] < 0
                pulse_columns(row, planes, i, columns, 0, m, d_down, z, p if NOISY else 0, scal, par, new)
                count_columns(counts, i, columns, 0, m, d_down)
                p += m
                pulse_columns(row, planes, i, columns, m, b, 1 - d_down, z, p if NOISY else 0, scal, par, new)
                count_columns(counts, i, columns, m, b, 1 - d_down)
                p += b - m
                down += m * d_down + (b - m) * (1 - d_down)
            up += p
        if touched and not finish_row(row, i, visible, reference):
            bad = i
    return up - down, down, bad, clipped
