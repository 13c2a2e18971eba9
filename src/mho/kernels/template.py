"""The pulsed update of a range of rows. `kernels/build.py` joins this text to each law's `step_up` and
`step_down`; as it stands, with the ideal cell, it is an ordinary module.

Every pulse sees the weight that the one before it left. The pulses of one update on one row are numbered in
the order in which they are sent (sample by sample, slot by slot; within a slot the columns with x > 0, then
those with x < 0). Pulse p takes its cycle-to-cycle noise from Philox counter (p // 8, row, 0, 0): no random
number is made that no pulse needs. Rows are independent, so any division of the rows among threads gives
the same bits.
"""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from mho.kernels.compile import kernel, loop, part
from mho.kernels.ideal import CHEAP, NOISY, step_down, step_up  # law: build.py puts the law's own here
from mho.kernels.lines import X_BITS, bit_lines
from mho.kernels.math32 import largest32
from mho.kernels.normal import fill_normals
from mho.kernels.philox import call_words, philox
from mho.rng import Stream

C2C = int(Stream.C2C)
_ONE = np.uint64(1)
_ZERO = np.uint32(0)
_NONE = np.uint64(0)
_BATCH = 2048  # normal numbers made at a time: they stay in the first-level cache


@part
def pulse_columns(cells, planes, i, columns, a, b, down, z, at, scal, par, new):
    """One pulse on each of the cells columns[a:b] of row i, all up or all down; noise z[at], z[at + 1], ...

    All positions are uint64: Numba then spares the test for negative indices, and slices, which cost
    reference counts, are not needed. A cheap law is applied cell by cell; one with exponentials is worth
    gathering the cells first, so that it vectorises. Both give the same bits.
    """
    if CHEAP:
        if down:
            for q in range(a, b):
                j = columns[q]
                cells[i, j] = step_down(cells[i, j], z[at + (q - a) if NOISY else _NONE], planes, i, j, scal)
        else:
            for q in range(a, b):
                j = columns[q]
                cells[i, j] = step_up(cells[i, j], z[at + (q - a) if NOISY else _NONE], planes, i, j, scal)
        return
    n = b - a
    for q in range(n):
        new[q] = cells[i, columns[a + q]]
    for c in range(planes.shape[0]):
        for q in range(n):
            par[c, _NONE, q] = planes[c, i, columns[a + q]]
    if down:
        for q in range(n):
            new[q] = step_down(new[q], z[at + q if NOISY else _NONE], par, _NONE, q, scal)
    else:
        for q in range(n):
            new[q] = step_up(new[q], z[at + q if NOISY else _NONE], par, _NONE, q, scal)
    for q in range(n):
        cells[i, columns[a + q]] = new[q]


@part
def pulse_slot(cells, planes, i, columns, a, m, b, down, z, at, scal, par, new, counts):
    """One slot on row i: columns[a:m] one way, columns[m:b] the other; returns how many pulses were down."""
    if m > a:
        pulse_columns(cells, planes, i, columns, a, m, down, z, at, scal, par, new)
    if b > m:
        pulse_columns(cells, planes, i, columns, m, b, 1 - down, z, at + (m - a), scal, par, new)
    if counts.shape[0] > 0:
        for q in range(a, b):
            counts[down if q < m else 1 - down, i, columns[q]] += 1
    return np.int64(m - a if down else b - m)


@part
def finish_columns(cells, i, columns, a, b, visible, reference):
    """Brings the apparent weight of columns[a:b] of row i up to date; returns whether they are finite."""
    fine = True
    for q in range(a, b):
        j = columns[q]
        fine &= abs(cells[i, j]) < np.inf
        if reference.shape[0] > 0:
            visible[i, j] = cells[i, j] - reference[i, j]
    return fine


@loop
def finish_row(cells, i, visible, reference):
    """The same for all columns."""
    if reference.shape[0] > 0:
        for j in range(cells.shape[1]):
            visible[i, j] = cells[i, j] - reference[i, j]
    return largest32(cells[i]) < np.inf


@part
def noise_for(p, n, limit, start, end, z, words, i, key):
    """Makes sure that z holds the noise of pulses p to p + n; returns the range [start, end) that it holds.

    limit: number of the row's last pulse plus one, beyond which nothing is made.
    """
    if not NOISY or p + n <= end:
        return start, end
    start = p - p % 8
    end = min(start + max(n + 8, _BATCH), limit)
    fill_normals(z, words, start // 8, end - start, key[0], key[1], np.uint32(i), _ZERO, _ZERO)
    return start, end


@kernel
def trains_rows(
    cells, planes, scal, columns, ends, row_bits, row_down, row_pulses, sent, key, event, rows, visible, reference,
    counts,
):  # fmt: skip
    """Applies the pulses of a block of samples (see kernels/lines.py) to rows[0] <= i < rows[1].

    Args:
        cells: (out, in) float32, hidden weights, changed in place; planes: (k, out, in) float32.
        sent: (out,) int64, pulses that each row got from earlier blocks of this update; brought up to date.
        key, event: of the update, see `philox.call_words`.
        visible, reference: (out, in), or both empty where the cells have no reference.
        counts: (2, out, in) int32 up and down pulses of each cell, or empty.
    Returns: (up pulses, down pulses, a row with a weight that is not finite or -1).
    """
    room = max(cells.shape[1], _BATCH) + 16 if NOISY else cells.shape[1] + 1
    z, words = np.zeros(room, np.float32), np.empty(room, np.uint32)
    par, new = (
        np.empty((planes.shape[0], 1, cells.shape[1]), np.float32),
        np.empty(cells.shape[1], np.float32),
    )
    return _trains_rows(
        cells, planes, scal, columns, ends, row_bits, row_down, row_pulses, sent, call_words(key, C2C, event),
        rows, visible, reference, counts, z, words, par, new,
    )  # fmt: skip


@loop
def _trains_rows(
    cells, planes, scal, columns, ends, row_bits, row_down, row_pulses, sent, noise_key, rows, visible, reference,
    counts, z, words, par, new,
):  # fmt: skip
    """`trains_rows` with its scratch memory given: without reference counts, which cost more than a pulse."""
    samples, words_a_line = ends.shape[0], row_bits.shape[2]
    n_in = cells.shape[1]
    total, down, bad = 0, 0, -1
    for i in range(np.uint64(rows[0]), np.uint64(rows[1])):
        if row_pulses[i] == 0:
            continue
        p = sent[i]
        limit = p + row_pulses[i]
        start, end = p, p
        sparse, fine = 4 * row_pulses[i] < n_in, True
        for s in range(samples):
            d_down = np.int64(row_down[s, i])
            for word in range(words_a_line):
                bits = row_bits[s, i, word]
                while bits != _NONE:
                    k = np.uint64(64 * word) + trailing_zeros(bits)
                    bits &= bits - _ONE
                    a, m, b = ends[s, k, 0], ends[s, k, 1], ends[s, k, 2]
                    n = np.int64(b - a)
                    start, end = noise_for(p, n, limit, start, end, z, words, i, noise_key)
                    down += pulse_slot(
                        cells,
                        planes,
                        i,
                        columns,
                        a,
                        m,
                        b,
                        d_down,
                        z,
                        np.uint64(p - start),
                        scal,
                        par,
                        new,
                        counts,
                    )
                    p += n
                    if sparse:
                        fine &= finish_columns(cells, i, columns, a, b, visible, reference)
        total += p - sent[i]
        sent[i] = p
        if not (fine if sparse else finish_row(cells, i, visible, reference)):
            bad = np.int64(i)
    return total - down, down, bad


@kernel
def trains_at_once(
    cells, planes, scal, x, d, lr, granularity, bl, management, key, event, columns, ends, row_bits, row_down,
    row_pulses, fire, negative, tx, td, sent, visible, reference, counts, most,
):  # fmt: skip
    """Lines and rows of an update in one call, for updates too small to be worth a second thread.

    most: pulses above which only the lines are drawn and the rows are left to the caller.
    Returns: (up, down, a row that is not finite or -1, clipped lines, lines, all pulses).
    """
    work, clipped, lines = bit_lines(
        x, d, lr, granularity, bl, management, key, event, 0, columns, ends, row_bits, row_down, row_pulses,
        fire, negative, tx, td,
    )  # fmt: skip
    if work == 0 or work > most:
        return 0, 0, -1, clipped, lines, work
    up, down, bad = trains_rows(
        cells, planes, scal, columns, ends, row_bits, row_down, row_pulses, sent, key, event,
        (0, cells.shape[0]), visible, reference, counts,
    )  # fmt: skip
    return up, down, bad, clipped, lines, work


@kernel
def rounded_rows(
    cells, planes, scal, x, d, lr, granularity, bl, key, event, rows, visible, reference, counts
):
    """Stochastic rounding instead of trains: each cell gets |lr x d| / dw_min pulses, rounded up or down at
    random so that the mean is right, bl at most; the cells' k-th pulses are sent together, k = 0, 1, ...

    Rounding uses Philox counter (column // 4, row, sample, 0) of stream X_BITS; noise is numbered as above,
    with rounds in place of slots. Other arguments as in `trains_rows`.
    Returns: (up pulses, down pulses, a row that is not finite or -1, cells whose number of pulses was clipped).
    """
    n_in = cells.shape[1]
    room = max(n_in, _BATCH) + 16 if NOISY else n_in + 1
    z, words = np.zeros(room, np.float32), np.empty(room, np.uint32)
    par, new = np.empty((planes.shape[0], 1, n_in), np.float32), np.empty(n_in, np.float32)
    return _rounded_rows(
        cells, planes, scal, x, d, lr, granularity, bl, call_words(key, X_BITS, event), call_words(key, C2C, event),
        rows, visible, reference, counts, z, words, par, new,
        np.zeros(n_in, np.int64), np.empty(n_in + 1, np.uint32),
    )  # fmt: skip


@loop
def _rounded_rows(
    cells, planes, scal, x, d, lr, granularity, bl, round_key, noise_key, rows, visible, reference, counts, z,
    words, par, new, n_pulses, columns,
):  # fmt: skip
    """`rounded_rows` with its scratch memory given."""
    samples, n_in = x.shape
    total, down, clipped, bad = 0, 0, 0, -1
    for i in range(np.uint64(rows[0]), np.uint64(rows[1])):
        p, start, end = 0, 0, 0
        for s in range(samples):
            scale = abs(lr) * abs(np.float64(d[s, i])) / granularity
            if scale == 0.0:
                continue
            d_down = np.int64((d[s, i] < 0) != (lr < 0))
            most, fired = 0, 0
            for q in range((n_in + 3) // 4):
                lanes = philox(round_key[0], round_key[1], np.uint32(q), np.uint32(i), np.uint32(s), _ZERO)
                for lane in range(min(4, n_in - 4 * q)):
                    want = scale * abs(np.float64(x[s, 4 * q + lane]))
                    if want > bl:
                        clipped += 1
                        want = np.float64(bl)
                    n = np.int64(want)
                    n += np.float64(lanes[lane]) < (want - n) * 4294967296.0
                    n_pulses[4 * q + lane] = n
                    fired += n
                    most = max(most, n)
            limit = p + fired
            for k in range(most):
                m = 0
                for j in range(n_in):
                    columns[m] = j
                    m += n_pulses[j] > k and x[s, j] > 0
                b = m
                for j in range(n_in):
                    columns[b] = j
                    b += n_pulses[j] > k and x[s, j] < 0
                start, end = noise_for(p, b, limit, start, end, z, words, i, noise_key)
                down += pulse_slot(
                    cells, planes, i, columns, _NONE, np.uint64(m), np.uint64(b), d_down, z, np.uint64(p - start),
                    scal, par, new, counts,
                )  # fmt: skip
                p += b
        total += p
        if p > 0 and not finish_row(cells, i, visible, reference):
            bad = np.int64(i)
    return total - down, down, bad, clipped
