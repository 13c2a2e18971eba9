"""The pulsed update of a range of rows, the same loops for all laws: a law's own part is called by its address.

Every pulse sees the weight that the one before it left. The pulses of one update on one row are numbered in
the order in which they are sent (sample by sample, slot by slot; within a slot the columns with x > 0, then
those with x < 0). Pulse p takes its cycle-to-cycle noise from Philox counter (p // 8, row, 0, 0): no random
number is made that no pulse needs. Rows are independent, so any division of the rows among threads gives
the same bits.
"""

from typing import NamedTuple

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from mho.kernels.cpu.finish import finish_columns, finish_row, touch_column
from mho.kernels.cpu.lines import X_BITS
from mho.kernels.cpu.memory import NOISE, SEGMENTS, TOGETHER, arrays_at, lines_at, request_at, scratch_at
from mho.numerics.compile import part
from mho.numerics.machine_code import lean_kernel
from mho.numerics.native import address_in, call_at
from mho.numerics.normal import fill_normals, normals_of
from mho.numerics.philox import call_words, philox
from mho.numerics.rng import Stream
from mho.numerics.vector import LANES, spread, wide

C2C = int(Stream.C2C)
_ONE = np.uint64(1)
_ZERO = np.uint32(0)
_NONE = np.uint64(0)
_LANES = np.uint64(LANES)


class Law(NamedTuple):
    """The part of an update that knows the law, see `pulses.py`."""

    lists: int  # address of `pulse_lists`
    marked: int  # of `pulse_marked`, or 0 where rows are never computed whole
    numbers: int  # of the float32 numbers that all cells share
    arrays: int  # of the table of `Arrays`
    is_noisy: bool


@part
def law_at(t):
    """Return `Law` from its table."""
    return Law(t[0], t[1], t[2], t[3], t[4] != 0)


@part
def send_lists(law, arrays, i, columns, scratch, table, n, checks):
    """Send the pulses of the first n segments to row i; return whether their weights are finite, if that is asked.

    checks: also bring the cells up to date, see `finish_columns`.
    """
    if n > 0:
        call_at(law.lists, (law.arrays, law.numbers, table, address_in(columns), np.int64(i), np.int64(n)))
    fine = True
    if checks:
        for m in range(n):
            a, b = np.uint64(scratch.segments[m, 0]), np.uint64(scratch.segments[m, 1])
            fine &= finish_columns(arrays, i, columns, a, b)
    return fine


@part
def spread_noise(scratch, at, lines, s, k, mark):
    """Set scratch.wide[j] to the noise, from scratch.z[at] on, of the marked columns in slot k of sample s."""
    width = np.uint64(lines.marks.shape[2])
    start = (s * np.uint64(lines.marks.shape[1]) + k) * width
    for j in range(_NONE, width, _LANES):
        at += spread(scratch.z, at, lines.marks, start + j, mark, scratch.wide, j)


@part
def count_columns(arrays, i, columns, a, b, down):
    """Add the pulses to the counters of the cells, where there are any."""
    if arrays.counts.shape[0] > 0:
        for q in range(a, b):
            arrays.counts[down, i, columns[q]] += 1


@part
def count_marked(arrays, i, marks, mark, down):
    """Add the pulses of marked columns to the counters of the cells, where there are any."""
    if arrays.counts.shape[0] > 0:
        for j in range(np.uint64(arrays.cells.shape[1])):
            arrays.counts[down, i, j] += marks[j] == mark


@part
def noise_for(p, n, limit, start, end, scratch, i, key):
    """Make the noise of pulses p to p + n and some more, in scratch.z; return the range that it holds then.

    limit: number of the row's last pulse plus one, beyond which nothing is made.
    """
    start = p - p % 8
    end = min(start + max(n + 8, NOISE), limit)
    n_new = end - start
    fill_normals(scratch.z, scratch.words, start // 8, n_new, key[0], key[1], np.uint32(i), _ZERO, _ZERO)
    return start, end


@part
def due_rows(top, bottom, lines, n_live, sent, scratch, key, is_noisy):
    """Set scratch.due to the pulses that the rows top <= i < bottom get, and make the noise of those with few.

    The noise of a row whose pulses have one counter stands in scratch.z from scratch.place on. That of all these
    rows is made in one loop, which vectorises; a row's own eight numbers would not.
    """
    n = bottom - top
    due, place = scratch.due, scratch.place
    due[:n] = 0
    for m in range(n_live):
        s = np.uint64(lines.live[m])
        for i in range(n):
            due[i] += lines.row_pulses[s, top + i]
    place[:n] = 0
    if not is_noisy:
        return
    base, made = np.uint64(scratch.z.shape[0] - 8 * TOGETHER), _NONE
    for i in range(n):
        p = sent[top + i]
        if due[i] == 0 or p % 8 + due[i] > 8:
            continue
        place[i] = base + np.uint64(8) * made + np.uint64(p % 8)
        at = np.uint64(4) * made
        a, b, c, d = philox(key[0], key[1], np.uint32(p // 8), np.uint32(top + i), _ZERO, _ZERO)
        scratch.words[at], scratch.words[at + _ONE] = a, b
        scratch.words[at + np.uint64(2)], scratch.words[at + np.uint64(3)] = c, d
        made += _ONE
    normals_of(scratch.words, np.uint64(4) * made, scratch.z[base:])


@lean_kernel
def trains_rows(first, last, arrays, law, lines, sent, scratch, *call):
    """Apply the pulses of a block of samples to rows first <= i < last.

    Args:
        arrays: table of `Arrays`, changed in place; law: table of `Law`.
        lines: table of the block's `BitLines`; scratch: table of the `Scratch` of this thread.
        sent: (out,) int64, pulses that each row got from earlier blocks of this update; brought up to date.
        call: the block, see `memory.request_at`.
    Returns: (up pulses, down pulses, a row with a weight that is not finite or -1).
    """
    arrays, law, ask, table = arrays_at(arrays), law_at(law), request_at(call), address_in(scratch)
    lines, scratch = lines_at(lines), scratch_at(scratch)
    segments = scratch.segments
    wide()
    samples, slots, words_a_line = lines.marks.shape[0], lines.marks.shape[1], lines.row_words.shape[1]
    n_in, list_below = arrays.cells.shape[1], ask.list_below
    noise_key = call_words(ask.key, C2C, ask.event)
    whole_rows = not touch_column(arrays, ask.x)
    total, downs, bad = 0, 0, -1
    n_live = _NONE
    for s in range(np.uint64(samples)):
        lines.live[n_live] = s
        n_live += np.uint64(lines.is_live[s])
    top = bottom = np.uint64(first)
    for i in range(np.uint64(first), np.uint64(last)):
        if i == bottom:
            top, bottom = i, min(i + np.uint64(TOGETHER), np.uint64(last))
            due_rows(top, bottom, lines, n_live, sent, scratch, noise_key, law.is_noisy)
        due = scratch.due[i - top]
        if due == 0:
            continue
        arrays.touched[i] |= whole_rows
        p = sent[i]
        limit = p + due
        start, end = p, p
        if scratch.place[i - top]:
            start, end = p - np.int64(scratch.place[i - top]), limit
        check_all, fine, waiting = 4 * due >= n_in, True, 0
        for m in range(n_live):
            s = np.uint64(lines.live[m])
            if lines.row_pulses[s, i] == 0:
                continue
            row_down = np.int64(lines.row_down[s, i])
            for word in range(np.uint64(words_a_line)):
                bits = np.uint64(lines.row_words[s, word, i])
                while bits != _NONE:
                    k = np.uint64(32) * word + trailing_zeros(bits)
                    bits &= bits - _ONE
                    a = (s * np.uint64(slots) + k) * np.uint64(n_in)
                    for group in range(2):
                        n = np.int64(lines.fired[s, k, group])
                        if n == 0:
                            continue
                        down = row_down ^ group
                        is_listed = n < list_below
                        refills = law.is_noisy and p + n > end
                        if waiting == SEGMENTS or refills or not is_listed:
                            fine &= send_lists(
                                law, arrays, i, lines.columns, scratch, table, waiting, not check_all
                            )
                            waiting = 0
                        if refills:
                            start, end = noise_for(p, n, limit, start, end, scratch, i, noise_key)
                        if is_listed:
                            segments[waiting, 0], segments[waiting, 1] = a, a + np.uint64(n)
                            segments[waiting, 2], segments[waiting, 3] = down, p - start
                            waiting += 1
                            count_columns(arrays, i, lines.columns, a, a + np.uint64(n), down)
                        else:
                            mark, marks = 1 + group, lines.marks[s, k]
                            if law.is_noisy:
                                spread_noise(scratch, np.uint64(p - start), lines, s, k, np.uint8(mark))
                            where = address_in(scratch.wide), address_in(marks)
                            call_at(law.marked, (law.arrays, law.numbers, *where, np.int64(i), mark, down))
                            count_marked(arrays, i, marks, np.uint8(mark), down)
                            check_all = True
                        a += np.uint64(n)
                        p += n
                        downs += n * down
        fine &= send_lists(law, arrays, i, lines.columns, scratch, table, waiting, not check_all)
        total += due
        sent[i] = p
        if not (finish_row(arrays, i) if check_all else fine):
            bad = np.int64(i)
    return total - downs, downs, bad


@lean_kernel
def rounded_rows(first, last, arrays, law, scratch, *call):
    """Round stochastically instead of sending trains: each cell gets |lr x d| / dw_min pulses, up or down at
    random so that the mean is right, bl at most; the cells' k-th pulses are sent together, k = 0, 1, ...

    Rounding uses Philox counter (column // 4, row, sample, 0) of stream X_BITS; noise is numbered as above,
    with rounds in place of slots. Arguments as in `trains_rows`.
    Returns: (up pulses, down pulses, a row that is not finite or -1, cells whose number of pulses was clipped).
    """
    arrays, law, ask, table = arrays_at(arrays), law_at(law), request_at(call), address_in(scratch)
    scratch = scratch_at(scratch)
    segments = scratch.segments
    wide()
    n_in = ask.x.shape[1]
    n_pulses, columns = scratch.n_pulses, scratch.columns
    round_key, noise_key = call_words(ask.key, X_BITS, ask.event), call_words(ask.key, C2C, ask.event)
    total, down, clipped, bad = 0, 0, 0, -1
    for i in range(np.uint64(first), np.uint64(last)):
        p, start, end = 0, 0, 0
        for s in range(ask.x.shape[0]):
            scale = abs(ask.lr) * abs(np.float64(ask.d[s, i])) / ask.granularity
            if scale == 0.0:
                continue
            d_down = np.int64((ask.d[s, i] < 0) != (ask.lr < 0))
            most, fired = 0, 0
            for q in range((n_in + 3) // 4):
                lanes = philox(round_key[0], round_key[1], np.uint32(q), np.uint32(i), np.uint32(s), _ZERO)
                for lane in range(min(4, n_in - 4 * q)):
                    want = scale * abs(np.float64(ask.x[s, 4 * q + lane]))
                    if want > ask.bl:
                        clipped += 1
                        want = np.float64(ask.bl)
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
                    m += n_pulses[j] > k and ask.x[s, j] > 0
                b = m
                for j in range(n_in):
                    columns[b] = j
                    b += n_pulses[j] > k and ask.x[s, j] < 0
                if law.is_noisy and p + b > end:
                    start, end = noise_for(p, b, limit, start, end, scratch, i, noise_key)
                segments[0, 0], segments[0, 1], segments[0, 2], segments[0, 3] = 0, m, d_down, p - start
                segments[1, 0], segments[1, 1], segments[1, 2], segments[1, 3] = (
                    m,
                    b,
                    1 - d_down,
                    p - start + m,
                )
                send_lists(law, arrays, i, columns, scratch, table, 2, False)
                count_columns(arrays, i, columns, _NONE, np.uint64(m), d_down)
                count_columns(arrays, i, columns, np.uint64(m), np.uint64(b), 1 - d_down)
                down += m if d_down else b - m
                p += b
        total += p
        if p > 0:
            arrays.touched[i] = 1
            if not finish_row(arrays, i):
                bad = np.int64(i)
    return total - down, down, bad, clipped
