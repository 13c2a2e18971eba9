"""Counted pulses applied together on the GPU. `kernels/gpu/build.py` joins this text to each law's `flow`; as it
stands, with the ideal cell, it is an ordinary module. Steps and noise are those of `mho.kernels.flow`.
"""

import triton
import triton.language as tl

from mho.kernels.gpu.finish import add, finish
from mho.kernels.gpu.ideal import NOISY, flow, parameters  # build.py: the law's own
from mho.kernels.gpu.philox import normal_of
from mho.kernels.gpu.primitives import div32

PULSES_A_STEP = tl.constexpr(32)


@triton.jit(do_not_specialize=["low", "high"])
def apply(cells, planes, visible, reference, counts, scal, sent, most, totals, low, high, n_in, n_out,
          HAS_REFERENCE: tl.constexpr, COUNTS: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """One program a row and block of columns: applies sent[0] (up) and sent[1] (down) pulses to its cells."""
    i = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    live = j < n_in
    at = i * n_in + j
    size = (i * 0 + n_out) * n_in
    steps = (tl.load(most + i) + PULSES_A_STEP - 1) // PULSES_A_STEP
    if steps > 0:
        w = tl.load(cells + at, mask=live, other=0.0)
        par = parameters(planes, scal, at, live, size)
        ups = tl.load(sent + at, mask=live, other=0)
        downs = tl.load(sent + size + at, mask=live, other=0)
        share = div32(steps.to(tl.float32) * 0.0 + 1.0, steps.to(tl.float32))
        n_up, n_down = ups.to(tl.float32) * share, downs.to(tl.float32) * share
        in_groups = ((i * 0 + n_in) + 7) // 8 * 8
        for step in range(steps):
            z = tl.zeros_like(w)
            if NOISY:
                z = normal_of(low, high, step * in_groups + j, i, i * 0)
            w = flow(w, n_up, n_down, z, par)
        finish(w, cells, visible, reference, totals, at, live, i, HAS_REFERENCE)
        if COUNTS:
            add(counts + at, ups, live)
            add(counts + size + at, downs, live)
