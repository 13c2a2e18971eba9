"""Elementary functions in float32 for compiled kernels: no table, no branch, so that loops vectorise.

Each function takes and returns scalars. It is built from additions, multiplications, fused multiply-adds
(where they are written, nowhere else), bit patterns and selects only, so a vectorised loop, a scalar loop and
a single call give the same bits. Errors are in units of the last place (ulp) of the exact result; the bounds stated
are those that `tests/test_math32.py` holds the functions to. Subnormal results are kept, not flushed.

The coefficients are minimax fits made for this file (weighted least squares, iterated), rounded to float32.
"""

import numpy as np

from mho.numerics.compile import elementary, inlined
from mho.numerics.vector import bits_to_float, float_to_bits, fma32, select32

f32, i32 = np.float32, np.int32

INF, NAN = f32("inf"), f32("nan")
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
ROUND = f32(1.5 * 2**23)  # x + ROUND - ROUND is x rounded to an integer, for |x| < 2^22
ROUND_BITS = i32(0x4B400000)  # the bits of ROUND: bits(x + ROUND) - ROUND_BITS is that integer
LN2 = f32(0.6931471805599453)
LN2_HI, LN2_LO = f32(0.693359375), f32(-2.12194440e-4)  # ln 2 in two parts; n * LN2_HI is exact
LOG2_E = f32(1.4426950408889634)
EXP_LOW, EXP_HIGH = f32(-104), f32(89)  # beyond these exp is 0 or inf in float32
SQRT_HALF_BITS = i32(0x3F3504F3)
MANTISSA = i32(0x007FFFFF)
SIGN = i32(-(2**31))
BIAS = i32(127)
SMALLEST_NORMAL = f32(2.0**-126)
TWO_23 = f32(2**23)  # from here on every float32 is an integer


@elementary("abs")
def abs32(x):
    """Return |x|, exact."""
    return abs(x)


@elementary("sqrt", share=0.2)
def sqrt32(x):
    """Return the square root, correctly rounded; NaN for x < 0."""
    return f32(np.sqrt(x))


@elementary("minimum")
def min32(a, b):
    """Return the smaller of two numbers; NaN if either is NaN, as `torch.minimum`."""
    return select32((a < b) | (a != a), a, b)


@elementary("maximum")
def max32(a, b):
    """Return the larger of two numbers; NaN if either is NaN, as `torch.maximum`."""
    return select32((a > b) | (a != a), a, b)


@inlined
def _exp_minus_1_reduced(r):
    """Return exp(r) - 1 for |r| <= 0.35, to 0.1 ulp of exp(r) before rounding."""
    p = f32(0.0013950848)
    p = fma32(p, r, f32(0.008369097))
    p = fma32(p, r, f32(0.041666202))
    p = fma32(p, r, f32(0.16666517))
    p = fma32(p, r, HALF)
    return r + p * (r * r)


@inlined
def _two_powers(n):
    """Return 2^h and 2^(n - h), h about n/2, for -250 <= n <= 250: 2^n itself may not be a float32."""
    h = i32(n >> i32(1))
    first = bits_to_float(i32(i32(h + BIAS) << i32(23)))
    second = bits_to_float(i32(i32(i32(n - h) + BIAS) << i32(23)))
    return first, second


@inlined
def _exp_reduced(x):
    """Return n, r with x = n ln 2 + r and |r| <= 0.35, x being held between EXP_LOW and EXP_HIGH."""
    x = min32(max32(x, EXP_LOW), EXP_HIGH)
    shifted = x * LOG2_E + ROUND
    k = shifted - ROUND
    return i32(float_to_bits(shifted) - ROUND_BITS), (x - k * LN2_HI) - k * LN2_LO


@elementary("exp", double=np.exp, share=0.4)
def exp32(x):
    """Return exp(x), to 1.1 ulp; inf above 88.723, subnormal below -87.33, 0 below -103.98; NaN of NaN."""
    n, r = _exp_reduced(x)
    first, second = _two_powers(n)
    return (ONE + _exp_minus_1_reduced(r)) * first * second


@elementary("expm1", double=np.expm1, share=0.4)
def expm1_32(x):
    """Return exp(x) - 1, to 2.0 ulp, also near x = 0; -1 below about -17; inf above 88.723; NaN of NaN."""
    n, r = _exp_reduced(x)
    first, second = _two_powers(n)
    return (_exp_minus_1_reduced(r) * first + (first - ONE / second)) * second


@elementary("exp2", double=np.exp2, share=0.4)
def exp2_32(x):
    """Return 2^x, to 1.1 ulp; inf from x = 128, subnormal below -126, 0 below -150; NaN of NaN."""
    x = min32(max32(x, f32(-151)), f32(129))
    shifted = x + ROUND
    r = (x - (shifted - ROUND)) * LN2
    first, second = _two_powers(i32(float_to_bits(shifted) - ROUND_BITS))
    return (ONE + _exp_minus_1_reduced(r)) * first * second


@inlined
def _log_tail(f):
    """Return ln(1 + f) - f for f in [-0.293, 0.414)."""
    p = f32(-0.0763443)
    p = fma32(p, f, f32(0.1276155))
    p = fma32(p, f, f32(-0.13160194))
    p = fma32(p, f, f32(0.14201762))
    p = fma32(p, f, f32(-0.16623357))
    p = fma32(p, f, f32(0.20001227))
    p = fma32(p, f, f32(-0.25000823))
    p = fma32(p, f, f32(0.3333333))
    return (p * f - HALF) * (f * f)


@inlined
def _exponent_and_log(x):
    """Return e (an integer, as float32), f and ln(m) - f: x = 2^e m, m = 1 + f in [0.707, 1.414), 0 < x < inf."""
    subnormal = x < SMALLEST_NORMAL
    x = select32(subnormal, x * TWO_23, x)
    shifted = i32(float_to_bits(x) - SQRT_HALF_BITS)
    e = f32(i32(shifted >> i32(23))) - select32(subnormal, f32(23), ZERO)
    f = bits_to_float(i32(i32(shifted & MANTISSA) + SQRT_HALF_BITS)) - ONE
    return e, f, _log_tail(f)


@inlined
def _log_limits(x, value):
    """Return `value` for 0 < x < inf, and the limits of a logarithm elsewhere."""
    value = select32(x < INF, value, x)  # inf, and NaN of NaN
    value = select32(x == ZERO, -INF, value)
    return select32(x < ZERO, NAN, value)


@elementary("log", double=np.log, share=0.4)
def log32(x):
    """Return the natural logarithm, to 1.0 ulp, subnormal x included; -inf at 0, NaN below, inf at inf."""
    e, f, tail = _exponent_and_log(x)
    return _log_limits(x, e * LN2_HI + (f + (tail + e * LN2_LO)))


@inlined
def log_unit32(x):
    """Return the natural logarithm as `log32`, for normal x in (0, 1] only: no limits to look after."""
    shifted = i32(float_to_bits(x) - SQRT_HALF_BITS)
    e = f32(i32(shifted >> i32(23)))
    f = bits_to_float(i32(i32(shifted & MANTISSA) + SQRT_HALF_BITS)) - ONE
    return e * LN2_HI + (f + (_log_tail(f) + e * LN2_LO))


@elementary("log2", double=np.log2, share=0.4)
def log2_32(x):
    """Return the logarithm to base 2, to 2.0 ulp; exact for powers of two; limits as `log32`."""
    e, f, tail = _exponent_and_log(x)
    return _log_limits(x, e + (f + tail) * LOG2_E)


@elementary("log1p", double=np.log1p, share=0.4)
def log1p_32(x):
    """Return log(1 + x), to 3.0 ulp, also near x = 0; -inf at -1, NaN below."""
    u = ONE + x
    lost = u - ONE  # what of x survived the addition: log(u) x / lost corrects to first order
    usable = (lost != ZERO) & (u < INF)
    corrected = log32(u) * (x / select32(usable, lost, ONE))
    return select32(lost == ZERO, x, select32(usable, corrected, log32(u)))


@elementary(double=np.power, share=0.6)
def pow32(x, y):
    """Return x^y, to 2 + |y| ulp. Limits as C's `pow`: 1 for y = 0 or x = 1; for x < 0, NaN unless y is an integer.

    The product y log2(x) is formed in two parts, so that the error does not grow with the size of log2(x).
    """
    size = abs(x)
    e, f, tail = _exponent_and_log(size)
    log2_m = (f + tail) * LOG2_E
    y_high = bits_to_float(i32(float_to_bits(y) & i32(-4096)))  # 12 bits: y_high * e is exact
    exact = y_high * e
    small = (y - y_high) * e + y * log2_m
    total = min32(max32(exact + small, f32(-151)), f32(129))
    shifted = total + ROUND
    k = shifted - ROUND
    r = min32(max32(((exact - k) + small) * LN2, f32(-1)), ONE)
    first, second = _two_powers(i32(float_to_bits(shifted) - ROUND_BITS))
    value = (ONE + _exp_minus_1_reduced(r)) * first * second
    grows = (size > ONE) == (y > ZERO)
    extreme = (size == ZERO) | (size == INF) | (abs(y) == INF)
    value = select32(extreme, select32(grows, INF, ZERO), value)
    value = select32(size == ONE, ONE, value)
    # The sign, for x < 0.
    steps, half = abs(y), abs(y) * HALF
    whole = ((steps + TWO_23) - TWO_23 == steps) | (steps >= TWO_23)
    odd = whole & ((half + TWO_23) - TWO_23 != half) & (half < TWO_23)
    negative = float_to_bits(x) < i32(0)
    value = select32(negative & odd, -value, value)
    value = select32((x < ZERO) & (not whole) & (size < INF), NAN, value)
    value = select32((x != x) | (y != y), NAN, value)
    return select32((y == ZERO) | (x == ONE), ONE, value)


@elementary("tanh", double=np.tanh, share=0.4)
def tanh32(x):
    """Return the hyperbolic tangent, to 2.0 ulp; +-1 at +-inf; NaN of NaN."""
    size = abs(x)
    z = x * x
    p = f32(-0.0057049785)
    p = fma32(p, z, f32(0.020639079))
    p = fma32(p, z, f32(-0.05373971))
    p = fma32(p, z, f32(0.13331442))
    p = fma32(p, z, f32(-0.3333328))
    near = size + size * (z * p)
    far = ONE - TWO / (exp32(size + size) + ONE)
    value = select32(size < f32(0.625), near, far)
    return bits_to_float(i32(float_to_bits(value) | i32(float_to_bits(x) & SIGN)))


@elementary("sigmoid", share=0.4)
def sigmoid32(x):
    """Return 1 / (1 + exp(-x)), to 3.0 ulp above -88; 0 below."""
    return ONE / (ONE + exp32(-x))


@elementary("softplus", share=0.4)
def softplus32(x):
    """Return log(1 + exp(x)), to 3.0 ulp above -87."""
    return max32(x, ZERO) + log1p_32(exp32(-abs(x)))


@inlined
def sincos_eighth32(r):
    """Return (sin 2 pi r, cos 2 pi r) for |r| <= 1/8 turn; each within 1.2e-7 of the exact value."""
    z = r * r
    s = f32(-75.39356)
    s = fma32(s, z, f32(81.592354))
    s = fma32(s, z, f32(-41.341663))
    s = fma32(s, z, f32(6.2831855))
    s = s * r
    c = f32(59.24596)
    c = fma32(c, z, f32(-85.44374))
    c = fma32(c, z, f32(64.93932))
    c = fma32(c, z, f32(-19.739208))
    c = fma32(c, z, ONE)
    return s, c


@inlined
def largest32(values):
    """Return max |v| of a 1-d array; NaN or inf if any entry is. Sizes compare as their bits do: it vectorises."""
    top = i32(0)
    for q in range(values.shape[0]):
        size = i32(float_to_bits(values[q]) & ~SIGN)
        top = size if size > top else top
    return bits_to_float(top)
