"""Normal numbers on a GPU, lane by lane: those of `mho.numerics.normal`.

`normal_pair` is the CPU's function, translated when this module is first imported;
its text lies in the cache folder.
"""

import triton
import triton.language as tl

from mho.kernels.gpu.primitives import philox
from mho.kernels.law.cache import module_of
from mho.kernels.law.dialect import TRITON
from mho.numerics import normal

_DOC = "The normal pair of mho.numerics.normal for Triton, written by mho.kernels.law."
normal_pair = module_of("mho_normal", TRITON.library(_DOC, [normal.normal_pair])).normal_pair


@triton.jit
def eight_normals(low, high, call, c1, c2, BLOCK: tl.constexpr):
    """Return (8 BLOCK,) float32: N(0, 1) numbers of counters (call, c1, c2, 0), for BLOCK int64 lanes of calls."""
    a, b, c, d = philox(low, high, call, c1, c2, 0)
    a_cos, a_sin = normal_pair(a)
    b_cos, b_sin = normal_pair(b)
    c_cos, c_sin = normal_pair(c)
    d_cos, d_sin = normal_pair(d)
    even = tl.join(tl.join(a_cos, c_cos), tl.join(b_cos, d_cos))
    odd = tl.join(tl.join(a_sin, c_sin), tl.join(b_sin, d_sin))
    return tl.reshape(tl.join(even, odd), [8 * BLOCK])


@triton.jit
def normal_of(low, high, number, c1, c2):
    """Return N(0, 1) number `number` (int64 lanes): number % 8 of counter (number // 8, c1, c2, 0)."""
    a, b, c, d = philox(low, high, number // 8, c1, c2, 0)
    lane = (number % 8).to(tl.int32)
    word = tl.where(lane < 4, tl.where(lane < 2, a, b), tl.where(lane < 6, c, d))
    first, second = normal_pair(word)
    return tl.where(lane % 2 == 0, first, second)
