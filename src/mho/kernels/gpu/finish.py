"""What ends an update on the GPU: weights, apparent weights and counters written back."""

import triton
import triton.language as tl

from mho.kernels.gpu.lines import BAD


@triton.jit
def finish(w, cells, visible, reference, totals, at, live, i, HAS_REFERENCE: tl.constexpr):
    """Writes the weights back and the apparent ones; notes the row if one of them is not finite."""
    tl.store(cells + at, w, mask=live)
    if HAS_REFERENCE:
        tl.store(visible + at, w - tl.load(reference + at, mask=live, other=0.0), mask=live)
    broken = live & ((tl.abs(w) < float("inf")) == 0)
    if tl.sum(broken.to(tl.int32)) > 0:
        tl.atomic_max(totals + BAD, i + 1)


@triton.jit
def add(counts, pulses, live):
    """Adds pulses to the cells' counters."""
    tl.store(counts, tl.load(counts, mask=live, other=0) + pulses, mask=live)
