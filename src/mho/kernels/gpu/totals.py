"""The totals of an update on a GPU, and the end of a program's part in it: weights and counters written back."""

import triton
import triton.language as tl

# Places in an update's totals; at BAD is the number of a row, counted from 1, whose law ran away, or 0.
UP, DOWN, BAD, CLIPPED, LINES = (tl.constexpr(n) for n in range(5))


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
