"""Philox4x32-10 and the normal numbers made of it, lane by lane: the words and numbers of the CPU's kernels."""

import triton
import triton.language as tl

from mho.kernels.gpu.math32 import normal_pair


@triton.jit
def _philox(low, high, c0, c1, c2, c3):
    """The four words of counter (c0, c1, c2, c3) under key (low, high), all taken modulo 2^32."""
    zero = (c0 * 0).to(tl.int64)
    return tl.philox_impl(
        c0.to(tl.uint32), (zero + c1).to(tl.uint32), (zero + c2).to(tl.uint32), (zero + c3).to(tl.uint32),
        (zero + low).to(tl.uint32), (zero + high).to(tl.uint32),
    )  # fmt: skip


@triton.jit
def word_of(low, high, line, c1, c2, c3):
    """Word line % 4 of counter (line // 4, c1, c2, c3) under key (low, high), for lanes of int32 lines."""
    a, b, c, d = _philox(low, high, line // 4, c1, c2, c3)
    lane = line % 4
    return tl.where(lane < 2, tl.where(lane == 0, a, b), tl.where(lane == 2, c, d))


@triton.jit
def eight_normals(low, high, call, c1, c2, BLOCK: tl.constexpr):
    """(8 BLOCK,) float32: the N(0, 1) numbers of counters (call, c1, c2, 0), for BLOCK lanes of calls (int64)."""
    a, b, c, d = _philox(low, high, call, c1, c2, 0)
    a_cos, a_sin = normal_pair(a)
    b_cos, b_sin = normal_pair(b)
    c_cos, c_sin = normal_pair(c)
    d_cos, d_sin = normal_pair(d)
    even = tl.join(tl.join(a_cos, c_cos), tl.join(b_cos, d_cos))
    odd = tl.join(tl.join(a_sin, c_sin), tl.join(b_sin, d_sin))
    return tl.reshape(tl.join(even, odd), [8 * BLOCK])


@triton.jit
def normal_of(low, high, number, c1, c2):
    """N(0, 1) number `number` (int64 lanes): number % 8 of counter (number // 8, c1, c2, 0)."""
    a, b, c, d = _philox(low, high, number // 8, c1, c2, 0)
    lane = (number % 8).to(tl.int32)
    word = tl.where(lane < 4, tl.where(lane < 2, a, b), tl.where(lane < 6, c, d))
    first, second = normal_pair(word)
    return tl.where(lane % 2 == 0, first, second)
