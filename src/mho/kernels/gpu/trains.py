"""The pulsed update on the GPU. `kernels/law/build.py` joins this module to each law. As it stands,
cells are ideal.

Cells are independent once their pulses are numbered, so a program owns a block of columns of one row and
keeps its weights in registers through all samples and slots. Numbers, order and noise are those of
`mho.kernels.cpu.trains`.
"""

import triton
import triton.language as tl

from mho.kernels.gpu.ideal import NOISY, parameters, step_down, step_up  # rewritten: the law's own
from mho.kernels.gpu.launch import CLIPPED, DOWN, UP, add_counts, write_back
from mho.kernels.gpu.lines import FULL, SLOTS, ones
from mho.kernels.gpu.normal import normal_of
from mho.kernels.gpu.primitives import word_of


@triton.jit
def _number(order, above, p):
    """Return the number of each column's pulse in its row, after p others, where order != 0 (`lines.columns`)."""
    return p + tl.where(order > 0, order - 1, above - order - 1).to(tl.int64)


@triton.jit
def _pulse(w, par, order, z, n_up, n_down, row_down):
    """Send a pulse to every column with order != 0, whose noise is z; return the weights after this slot."""
    down = (order < 0) != row_down
    if n_up > 0:
        w = tl.where((order != 0) & (down == 0), step_up(w, z, par), w)
    if n_down > 0:
        w = tl.where((order != 0) & down, step_down(w, z, par), w)
    return w


@triton.jit
def _count(ups, downs, order, row_down):
    """Add the pulses of one slot to blocks of counters; return the counters."""
    down = (order < 0) != row_down
    return ups + ((order != 0) & (down == 0)).to(tl.int32), downs + ((order != 0) & down).to(tl.int32)


@triton.jit(do_not_specialize=["first_row"])
def send_trains(cells, planes, visible, reference, counts, scal, d, length, order, fired, row_words, before, after,
                totals, noise, starts, first_row, samples, n_in, n_out, bl, REVERSED: tl.constexpr,
                HAS_REFERENCE: tl.constexpr, COUNTS: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Send all pulses of a block of samples: one program a row, from first_row on, and block of columns.

    length, order, fired, row_words: the lines, see `mho.kernels.gpu.lines`; before, after: (out,) int64, pulses
    that each row got in this update before and after this block of samples; noise, starts: see
    `mho.kernels.gpu.noise`; REVERSED: lr < 0.
    """
    i = tl.program_id(0).to(tl.int64) + first_row
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    live = j < n_in
    at = i * n_in + j
    size = (i * 0 + n_out) * n_in
    w = tl.load(cells + at, mask=live, other=0.0)
    par = parameters(planes, scal, at, live, size)
    start = tl.load(before + i)
    if NOISY:
        noise += tl.load(starts + i) - tl.load(starts + first_row) - start // 8 * 8
    p = start
    all_down = start * 0
    ups = tl.zeros((BLOCK,), tl.int32)
    downs = tl.zeros((BLOCK,), tl.int32)
    words = (bl + SLOTS - 1) // SLOTS
    for s in range(samples):
        line = tl.full((), 0, tl.int64) + s
        row_down = (tl.load(d + line * n_out + i) < 0.0) != REVERSED
        slots = tl.load(length + s)
        for word in range((slots + SLOTS - 1) // SLOTS):
            row_bits = tl.load(row_words + (line * words + word) * n_out + i)
            while row_bits != 0:
                slot = line * bl + word * SLOTS + ones((row_bits & (0 - row_bits)) - 1)
                row_bits &= row_bits - 1
                above = tl.load(fired + 2 * slot)
                below = tl.load(fired + 2 * slot + 1)
                n_down = tl.where(row_down, above, below)
                n = above + below
                if n > 0:
                    mine = tl.load(order + slot * n_in + j, mask=live, other=0).to(tl.int32)
                    z = tl.zeros_like(w)
                    if NOISY:
                        z = tl.load(noise + _number(mine, above, p), mask=mine != 0, other=0.0)
                    w = _pulse(w, par, mine, z, n - n_down, n_down, row_down)
                    if COUNTS:
                        ups, downs = _count(ups, downs, mine, row_down)
                    p += n
                    all_down += n_down
    if p > start:
        write_back(w, cells, visible, reference, totals, at, live, i, HAS_REFERENCE)
        if COUNTS:
            add_counts(counts + at, ups, live)
            add_counts(counts + size + at, downs, live)
    if tl.program_id(1) == 0:
        tl.store(after + i, p)
        tl.atomic_add(totals + UP, p - start - all_down)
        tl.atomic_add(totals + DOWN, all_down)


@triton.jit(do_not_specialize=["low", "high", "round_low", "round_high"])
def send_rounded(cells, planes, visible, reference, counts, scal, x, d, numbers, totals, round_low, round_high,
                 low, high, samples, n_in, n_out, bl, REVERSED: tl.constexpr, HAS_REFERENCE: tl.constexpr,
                 COUNTS: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Round stochastically, one program a row, BLOCK >= n_in: see `mho.kernels.cpu.trains.rounded_rows`.

    numbers: (|lr|, dw_min) float64.
    """
    i = tl.program_id(0).to(tl.int64)
    j = tl.arange(0, BLOCK)
    live = j < n_in
    at = i * n_in + j
    size = (i * 0 + n_out) * n_in
    w = tl.load(cells + at, mask=live, other=0.0)
    par = parameters(planes, scal, at, live, size)
    p = i * 0
    all_down = i * 0
    clipped = i * 0
    ups = tl.zeros((BLOCK,), tl.int32)
    downs = tl.zeros((BLOCK,), tl.int32)
    for s in range(samples):
        line = tl.full((), 0, tl.int64) + s
        error = tl.load(d + line * n_out + i)
        scale = tl.load(numbers) * tl.abs(error).to(tl.float64) / tl.load(numbers + 1)
        if scale != 0.0:
            row_down = (error < 0.0) != REVERSED
            value = tl.load(x + line * n_in + j, mask=live, other=0.0)
            want = scale * tl.abs(value).to(tl.float64)
            clipped += tl.sum((want > bl).to(tl.int64))
            want = tl.where(want > bl, want * 0.0 + bl, want)
            n = want.to(tl.int32)
            rest = (want - n.to(tl.float64)) * FULL
            n += (word_of(round_low, round_high, j, i, line, 0).to(tl.float64) < rest).to(tl.int32)
            for k in range(tl.max(n)):
                fire_above = ((n > k) & (value > 0.0)).to(tl.int32)
                fire_below = ((n > k) & (value < 0.0)).to(tl.int32)
                above, below = tl.sum(fire_above), tl.sum(fire_below)
                n_down = tl.where(row_down, above, below)
                order = fire_above * tl.cumsum(fire_above, 0) - fire_below * tl.cumsum(fire_below, 0)
                z = tl.zeros_like(w)
                if NOISY:
                    z = normal_of(low, high, _number(order, above, p), i, i * 0)
                w = _pulse(w, par, order, z, above + below - n_down, n_down, row_down)
                if COUNTS:
                    ups, downs = _count(ups, downs, order, row_down)
                p += above + below
                all_down += n_down
    tl.atomic_add(totals + CLIPPED, clipped)
    if p > 0:
        write_back(w, cells, visible, reference, totals, at, live, i, HAS_REFERENCE)
        tl.atomic_add(totals + UP, p - all_down)
        tl.atomic_add(totals + DOWN, all_down)
        if COUNTS:
            add_counts(counts + at, ups, live)
            add_counts(counts + size + at, downs, live)
