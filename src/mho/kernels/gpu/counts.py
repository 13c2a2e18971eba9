"""The pulses of several samples counted cell by cell on the GPU, without sending them."""

import triton
import triton.language as tl

from mho.kernels.gpu.launch import DOWN, UP
from mho.kernels.gpu.lines import SLOTS, ones


@triton.jit
def count(x, d, length, x_words, d_words, sent, most, totals, samples, together, n_in, n_out, bl,
          REVERSED: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Count the pulses on each cell: one program a row, block of columns and group of `together` samples.

    sent (groups, 2, out, in) int32 becomes the numbers of up and down pulses; most (groups, out) int32, which
    is zero before, the largest number of a cell's pulses in each row.
    """
    i = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    group = tl.program_id(2).to(tl.int64)
    live = j < n_in
    ups = tl.zeros((BLOCK,), tl.int32)
    downs = tl.zeros((BLOCK,), tl.int32)
    words = (bl + SLOTS - 1) // SLOTS
    for s in range(group * together, tl.minimum((group + 1) * together, samples)):
        line = tl.full((), 0, tl.int64) + s
        row_down = (tl.load(d + line * n_out + i) < 0.0) != REVERSED
        slots = tl.load(length + s)
        down = (tl.load(x + line * n_in + j, mask=live, other=0.0) < 0.0) != row_down
        for word in range((slots + SLOTS - 1) // SLOTS):
            row = tl.load(d_words + (line * words + word) * n_out + i)
            if row != 0:
                n = ones(row & tl.load(x_words + (line * words + word) * n_in + j, mask=live, other=0))
                downs += tl.where(down, n, 0)
                ups += tl.where(down, 0, n)
    size = (i * 0 + n_out) * n_in
    at = sent + 2 * group * size + i * n_in + j
    tl.store(at, ups, mask=live)
    tl.store(at + size, downs, mask=live)
    tl.atomic_max(most + group * n_out + i, tl.max(ups + downs))
    tl.atomic_add(totals + UP, tl.sum(ups).to(tl.int64))
    tl.atomic_add(totals + DOWN, tl.sum(downs).to(tl.int64))
