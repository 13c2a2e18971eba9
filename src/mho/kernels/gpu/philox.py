"""Philox4x32-10 on a GPU, lane by lane: the words of `mho.numerics.philox`.

Triton brings the ten rounds itself. Keys and counters come as integers of any width and sign, and are taken modulo
2^32. One lane is one line, one column or one pulse.

A word is named by its key and counter, as on the CPU: no program keeps a state, and programs may run in any order.
"""

import triton
import triton.language as tl


@triton.jit
def philox(low, high, c0, c1, c2, c3):
    """Return the four words of counter (c0, c1, c2, c3) under key (low, high), all taken modulo 2^32."""
    zero = (c0 * 0).to(tl.int64)
    return tl.philox_impl(
        c0.to(tl.uint32), (zero + c1).to(tl.uint32), (zero + c2).to(tl.uint32), (zero + c3).to(tl.uint32),
        (zero + low).to(tl.uint32), (zero + high).to(tl.uint32),
    )  # fmt: skip


@triton.jit
def word_of(low, high, line, c1, c2, c3):
    """Return word line % 4 of counter (line // 4, c1, c2, c3) under key (low, high), for lanes of int32 lines."""
    a, b, c, d = philox(low, high, line // 4, c1, c2, c3)
    lane = line % 4
    return tl.where(lane < 2, tl.where(lane == 0, a, b), tl.where(lane == 2, c, d))
