"""Counted pulses applied together on the GPU. `kernels/law/build.py` joins this module to each law. As it
stands, cells are ideal. Steps and noise are those of `mho.kernels.cpu.aggregated`.
"""

import triton
import triton.language as tl

from mho.kernels.gpu.ideal import NOISY, flow, parameters  # rewritten: the law's own
from mho.kernels.gpu.launch import add_counts, write_back
from mho.kernels.gpu.normal import normal_of
from mho.kernels.gpu.primitives import div32

PULSES_A_STEP = tl.constexpr(32)


@triton.jit(do_not_specialize=["low", "high"])
def apply(cells, planes, visible, reference, counts, scal, sent, most, before, after, totals, low, high,
          groups, n_in, n_out, HAS_REFERENCE: tl.constexpr, COUNTS: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Apply the pulses of some groups of samples: one program a row and block of columns.

    sent, most: as `counts.count` left them; before, after: (out,) int64, steps that each row took in this
    update before and after these groups.
    """
    i = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    live = j < n_in
    at = i * n_in + j
    size = (i * 0 + n_out) * n_in
    in_groups_of_8 = (i * 0 + n_in + 7) // 8 * 8
    w = tl.load(cells + at, mask=live, other=0.0)
    par = parameters(planes, scal, at, live, size)
    start = tl.load(before + i)
    done = start
    for group in range(groups):
        steps = (tl.load(most + group * n_out + i) + PULSES_A_STEP - 1) // PULSES_A_STEP
        if steps > 0:
            here = sent + (i * 0 + 2 * group) * size + at
            ups = tl.load(here, mask=live, other=0)
            downs = tl.load(here + size, mask=live, other=0)
            share = div32(steps.to(tl.float32) * 0.0 + 1.0, steps.to(tl.float32))
            n_up, n_down = ups.to(tl.float32) * share, downs.to(tl.float32) * share
            for step in range(steps):
                z = tl.zeros_like(w)
                if NOISY:
                    z = normal_of(low, high, (done + step) * in_groups_of_8 + j, i, i * 0)
                w = flow(w, n_up, n_down, z, par)
            done += steps
            if COUNTS:
                add_counts(counts + at, ups, live)
                add_counts(counts + size + at, downs, live)
    if done > start:
        write_back(w, cells, visible, reference, totals, at, live, i, HAS_REFERENCE)
    if tl.program_id(1) == 0:
        tl.store(after + i, done)
