"""The frame of a launch: its options, the keys of its random numbers, the width and the end of its programs."""

import triton
import triton.language as tl

from mho.numerics.rng import Stream, call_key, split

EXACT = {"enable_fp_fusion": False}  # a multiplication and an addition keep a rounding each, as on the CPU
# Places in an update's totals; at BAD is the number of a row, counted from 1, whose law ran away, or 0.
UP, DOWN, BAD, CLIPPED, LINES = (tl.constexpr(n) for n in range(5))


def key_words(key: int, stream: Stream, event: int) -> tuple[int, int]:
    """Return the key of one use of randomness as two int32, as kernels take it."""
    low, high = (word - (word >> 31 << 32) for word in split(call_key(key, stream, event)))
    return low, high


def block_for(n: int, most: int) -> int:
    """Return the smallest power of two that holds n, from 16 to `most`."""
    return min(max(16, 1 << (n - 1).bit_length()), most)


@triton.jit
def write_back(w, cells, visible, reference, totals, at, live, i, HAS_REFERENCE: tl.constexpr):
    """Write the weights back, and the apparent ones; note the row if one of them is not finite."""
    tl.store(cells + at, w, mask=live)
    if HAS_REFERENCE:
        tl.store(visible + at, w - tl.load(reference + at, mask=live, other=0.0), mask=live)
    broken = live & ((tl.abs(w) < float("inf")) == 0)
    if tl.sum(broken.to(tl.int32)) > 0:
        tl.atomic_max(totals + BAD, i + 1)


@triton.jit
def add_counts(counts, pulses, live):
    """Add pulses to the cells' counters."""
    tl.store(counts, tl.load(counts, mask=live, other=0) + pulses, mask=live)
