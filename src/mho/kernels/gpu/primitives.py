"""Operations that Numba and Triton spell differently, Philox among them; all above them is one text for both.

Every one is rounded once, to nearest, as on the CPU. Kernels must be launched with `launch.EXACT`, which keeps the
compiler from joining a multiplication and an addition into one rounding.
"""

import triton
import triton.language as tl

from mho.base.errors import complaint

if tuple(map(int, triton.__version__.split(".")[:2])) < (3, 6):
    raise complaint(
        "mho.kernels.gpu",
        f"Triton is {triton.__version__}",
        "It must be 3.6 or newer: earlier ones flush subnormal numbers in divisions and square roots",
        "install a newer torch",
    )


@triton.jit
def f32(value):
    """Return a number as float32."""
    return tl.full((), value, tl.float32)


@triton.jit
def i32(value):
    """Return a number as int32."""
    return tl.full((), value, tl.int32)


@triton.jit
def u32(value):
    """Return a number as uint32."""
    return tl.full((), value, tl.uint32)


@triton.jit
def to_f32(x):
    """Return integers as float32."""
    return tl.cast(x, tl.float32)


@triton.jit
def to_i32(x):
    """Return integers as int32: the same 32 bits."""
    return tl.cast(x, tl.int32)


@triton.jit
def float_to_bits(x):
    """Return the 32 bits of a float32 as an int32."""
    return tl.cast(x, tl.int32, bitcast=True)


@triton.jit
def bits_to_float(n):
    """Return the float32 that has the bits of an int32."""
    return tl.cast(n, tl.float32, bitcast=True)


@triton.jit
def select32(condition, yes, no):
    """Return `yes` where `condition` holds, else `no`."""
    return tl.where(condition, yes, no)


@triton.jit
def fma32(a, b, c):
    """Return a * b + c, rounded once."""
    return tl.fma(a, b, c)


@triton.jit
def div32(a, b):
    """Return a / b, rounded to nearest: Triton's own `/` is not."""
    return tl.div_rn(a, b)


@triton.jit
def sqrt32(x):
    """Return the square root, correctly rounded."""
    return tl.sqrt_rn(x)


@triton.jit
def neg32(x):
    """Return -x, with the sign of zero: Triton's own is 0 - x."""
    return bits_to_float(float_to_bits(x) ^ -2147483648)


@triton.jit
def abs32(x):
    """Return |x|, exact."""
    return tl.abs(x)


@triton.jit
def rint32(x):
    """Return x rounded to an integer, halves to even; x = 0 keeps its sign."""
    size = tl.abs(x)
    whole = tl.where(size < 8388608.0, (size + 8388608.0) - 8388608.0, size)
    return bits_to_float(float_to_bits(whole) | (float_to_bits(x) & -2147483648))


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
