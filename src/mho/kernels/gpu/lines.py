"""Stochastic bit lines on the GPU: the words, thresholds and slots of `mho.kernels.cpu.lines`.

Three kernels, each over all samples of a block: `measure` finds a train's length and probabilities, `words`
draws lines, `columns` keeps for every slot each column's rank among those that fire, because a row numbers its
pulses by it, and all rows share it.
"""

import triton
import triton.language as tl

from mho.kernels.cpu.lines import SLICED_FROM
from mho.kernels.gpu.launch import CLIPPED, LINES
from mho.kernels.gpu.primitives import word_of

FULL = tl.constexpr(4294967296.0)  # a threshold that every 32-bit word is below
SLOTS = tl.constexpr(32)  # slots in one word of a line's bits
SLICED = tl.constexpr(SLICED_FROM)


@triton.jit
def ones(word):
    """Return how many of a word's 32 bits are set, as int32: sums over 2, 4, 8 bits, then over all bytes."""
    n = word.to(tl.uint32, bitcast=True)
    n = n - ((n >> 1) & 0x55555555)
    n = (n & 0x33333333) + ((n >> 2) & 0x33333333)
    n = (n + (n >> 4)) & 0x0F0F0F0F
    return ((n * 0x01010101) >> 24).to(tl.int32)


@triton.jit
def _largest(values, n, BLOCK: tl.constexpr):
    """Return max |v| of n float32 numbers, as float64."""
    top = tl.full((), 0.0, tl.float32)
    for first in range(0, n, BLOCK):
        at = first + tl.arange(0, BLOCK)
        top = tl.maximum(top, tl.max(tl.abs(tl.load(values + at, mask=at < n, other=0.0))))
    return top.to(tl.float64)


@triton.jit
def _count(values, n, factor, totals, BLOCK: tl.constexpr):
    """Add to the totals how many lines have p > 1 (they are clipped), and how many p > 0."""
    clipped = tl.full((), 0, tl.int64)
    lines = tl.full((), 0, tl.int64)
    for first in range(0, n, BLOCK):
        at = first + tl.arange(0, BLOCK)
        p = tl.abs(tl.load(values + at, mask=at < n, other=0.0)).to(tl.float64) * factor
        clipped += tl.sum((p > 1.0 + 1e-6).to(tl.int64))
        lines += tl.sum((p > 0.0).to(tl.int64))
    tl.atomic_add(totals + CLIPPED, clipped)
    tl.atomic_add(totals + LINES, lines)


@triton.jit
def measure(x, d, numbers, length, factors, totals, n_in, n_out, bl, MANAGED: tl.constexpr,
            BL_MANAGED: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Find the train of a sample, one program each, as `mho.kernels.cpu.lines.train`.

    numbers: (|lr|, dw_min) float64. Writes length (samples,) int32 and factors (samples, 2) float64, which
    turn |x| and |d| into probabilities; adds to the totals.
    """
    s = tl.program_id(0)
    x += s.to(tl.int64) * n_in
    d += s.to(tl.int64) * n_out
    x_max, d_max = _largest(x, n_in, BLOCK), _largest(d, n_out, BLOCK)
    lr, granularity = tl.load(numbers), tl.load(numbers + 1)
    k = lr * x_max * d_max / granularity
    slots = tl.full((), 0, tl.int32) + bl
    if BL_MANAGED:
        slots = tl.where(k < bl, tl.minimum(tl.ceil(k), bl).to(tl.int32), slots)
    slots = tl.where(k == 0.0, 0, slots)
    tl.store(length + s, slots)
    if k > 0.0:
        scale = tl.sqrt(lr / (granularity * slots.to(tl.float64)))
        px = scale
        pd = scale
        if MANAGED:
            d_max = tl.where(k > bl, d_max * bl / k, d_max)
            px = scale * tl.sqrt(d_max / x_max)
            pd = scale * tl.sqrt(x_max / d_max)
        tl.store(factors + 2 * s, px)
        tl.store(factors + 2 * s + 1, pd)
        _count(x, n_in, px, totals, BLOCK)
        _count(d, n_out, pd, totals, BLOCK)


@triton.jit
def _by_slot(threshold, line, slots, sample, low, high):
    """Return the slots of a short train in which lines fire, each slot having a number of its own."""
    found = (threshold * 0).to(tl.int32)
    for slot in range(slots):
        fires = word_of(low, high, line, slot, sample, 0).to(tl.int64) < threshold
        found |= fires.to(tl.int32) << slot
    return found


@triton.jit
def _sliced(threshold, line, word, slots, sample, low, high):
    """Return those of 32 slots, of which the train has `slots`, in which lines fire: the slots' numbers are drawn
    together, most significant bits first, until all are told from the threshold."""
    mask = ((threshold * 0 + 1) << slots) - 1
    everything = mask.to(tl.int32)
    found = tl.where(threshold > 4294967295, everything, 0)
    undecided = tl.where((threshold > 0) & (threshold <= 4294967295), everything, 0)
    bit = tl.full((), 0, tl.int32)
    while (bit < SLOTS) & (tl.sum((undecided != 0).to(tl.int32)) > 0):
        drawn = word_of(low, high, line, word * SLOTS + bit, sample, 1).to(tl.int32, bitcast=True)
        one = (0 - ((threshold >> (31 - bit)) & 1)).to(tl.int32)
        found |= undecided & ~drawn & one
        undecided &= drawn ^ ~one
        bit += 1
    return found


@triton.jit
def _words(values, length, factors, low, high, first_sample, bits, n, bl, BLOCK: tl.constexpr):
    s = tl.program_id(0).to(tl.int64)
    line = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    if tl.program_id(1) * BLOCK < n:
        value = tl.load(values + s * n + line, mask=line < n, other=0.0)
        slots, factor = tl.load(length + s), tl.load(factors + 2 * s)
        threshold = tl.minimum(tl.abs(value).to(tl.float64) * factor * FULL, FULL).to(tl.int64)
        n_words = (bl + SLOTS - 1) // SLOTS
        for word in range((slots + SLOTS - 1) // SLOTS):
            if slots < SLICED:
                found = _by_slot(threshold, line, slots, s + first_sample, low, high)
            else:
                rest = tl.minimum(slots - word * SLOTS, SLOTS)
                found = _sliced(threshold, line, word, rest, s + first_sample, low, high)
            tl.store(bits + (s * n_words + word) * n + line, found, mask=line < n)


@triton.jit(do_not_specialize=["x_low", "x_high", "d_low", "d_high", "first_sample"])
def words(x, d, length, factors, x_low, x_high, d_low, d_high, first_sample, x_words, d_words, n_in, n_out, bl,
          BLOCK: tl.constexpr):  # fmt: skip
    """Draw lines, one program a sample, block of lines and side: bits (samples, ceil(bl / 32), n) int32 of x or d,
    bit k % 32 of word k // 32 being set where the line fires in slot k."""
    if tl.program_id(2) == 0:
        _words(x, length, factors, x_low, x_high, first_sample, x_words, n_in, bl, BLOCK)
    else:
        _words(d, length, factors + 1, d_low, d_high, first_sample, d_words, n_out, bl, BLOCK)


@triton.jit
def columns(x, length, bits, order, fired, n_in, bl, BLOCK: tl.constexpr):
    """Order the pulses of the columns, whose `bits` are given, one program a sample and slot.

    order (samples, bl, in) integers: 0, or r + 1 for the r-th firing column with x > 0, or -(r + 1) for the r-th
    with x < 0; fired (samples, bl, 2) int32: how many of each. Slots beyond the train's length only get 0, 0.
    """
    at_slot = tl.program_id(0).to(tl.int64)
    s, slot = at_slot // bl, at_slot % bl
    above = tl.full((), 0, tl.int32)
    below = tl.full((), 0, tl.int32)
    if slot < tl.load(length + s):
        at_word = (s * ((bl + SLOTS - 1) // SLOTS) + slot // SLOTS) * n_in
        bit = (slot % SLOTS).to(tl.int32)
        for first in range(0, n_in, BLOCK):
            j = first + tl.arange(0, BLOCK)
            value = tl.load(x + s * n_in + j, mask=j < n_in, other=0.0)
            fires = (tl.load(bits + at_word + j, mask=j < n_in, other=0) >> bit) & 1
            up = fires * (value > 0.0).to(tl.int32)
            down = fires * (value < 0.0).to(tl.int32)
            rank = up * (above + tl.cumsum(up, 0)) - down * (below + tl.cumsum(down, 0))
            tl.store(order + at_slot * n_in + j, rank, mask=j < n_in)
            above += tl.sum(up)
            below += tl.sum(down)
    tl.store(fired + 2 * at_slot, above)
    tl.store(fired + 2 * at_slot + 1, below)
