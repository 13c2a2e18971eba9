"""The pulses of many samples counted cell by cell on the GPU, without sending them: see `mho.kernels.counts`."""

import triton
import triton.language as tl

from mho.kernels.gpu.lines import DOWN, SLOTS, UP


@triton.jit
def _ones(word):
    """How many of a word's 32 bits are set, as int32: sums over 2, 4, 8 bits, then over all bytes."""
    n = word.to(tl.uint32, bitcast=True)
    n = n - ((n >> 1) & 0x55555555)
    n = (n & 0x33333333) + ((n >> 2) & 0x33333333)
    n = (n + (n >> 4)) & 0x0F0F0F0F
    return ((n * 0x01010101) >> 24).to(tl.int32)


@triton.jit
def count(x, d, length, x_words, d_words, sent, most, totals, samples, n_in, n_out, bl,
          REVERSED: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """One program a row and block of columns: adds the pulses of a block of samples to sent[0] (up) and sent[1]
    (down), (2, out, in) int32; most (out,) int32 becomes the largest number of a cell's pulses in each row."""
    i = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    live = j < n_in
    ups = tl.zeros((BLOCK,), tl.int32)
    downs = tl.zeros((BLOCK,), tl.int32)
    words = (bl + SLOTS - 1) // SLOTS
    for s in range(samples):
        line = tl.full((), 0, tl.int64) + s
        row_down = (tl.load(d + line * n_out + i) < 0.0) != REVERSED
        slots = tl.load(length + s)
        down = (tl.load(x + line * n_in + j, mask=live, other=0.0) < 0.0) != row_down
        for word in range((slots + SLOTS - 1) // SLOTS):
            row = tl.load(d_words + (line * words + word) * n_out + i)
            if row != 0:
                n = _ones(row & tl.load(x_words + (line * words + word) * n_in + j, mask=live, other=0))
                downs += tl.where(down, n, 0)
                ups += tl.where(down, 0, n)
    size = (i * 0 + n_out) * n_in
    at = sent + i * n_in + j
    all_ups = tl.load(at, mask=live, other=0) + ups
    all_downs = tl.load(at + size, mask=live, other=0) + downs
    tl.store(at, all_ups, mask=live)
    tl.store(at + size, all_downs, mask=live)
    tl.atomic_max(most + i, tl.max(all_ups + all_downs))
    tl.atomic_add(totals + UP, tl.sum(ups).to(tl.int64))
    tl.atomic_add(totals + DOWN, tl.sum(downs).to(tl.int64))
