"""Elementary functions in float64 under the names of `math32` and `lookup`: for calibrations, whose steps are less
than float32 resolves. They call the C library, one number at a time, where `math32` has polynomials."""

import numpy as np

from mho.numerics.compile import inlined

_ZERO, _ONE = np.float64(0), np.float64(1)


@inlined
def select64(condition, yes, no):
    """`yes` where `condition` holds, else `no`."""
    return yes if condition else no


@inlined
def abs64(x):
    """|x|."""
    return abs(x)


@inlined
def sqrt64(x):
    """Square root; NaN for x < 0."""
    return np.sqrt(x)


@inlined
def min64(a, b):
    """The smaller of two numbers; NaN if either is NaN."""
    return a if (a < b) | (a != a) else b


@inlined
def max64(a, b):
    """The larger of two numbers; NaN if either is NaN."""
    return a if (a > b) | (a != a) else b


@inlined
def exp64(x):
    """exp(x)."""
    return np.exp(x)


@inlined
def expm1_64(x):
    """exp(x) - 1, also near x = 0."""
    return np.expm1(x)


@inlined
def exp2_64(x):
    """2^x."""
    return np.exp2(x)


@inlined
def log64(x):
    """Natural logarithm; -inf at 0, NaN below."""
    return np.log(x)


@inlined
def log2_64(x):
    """Logarithm to base 2."""
    return np.log2(x)


@inlined
def log1p_64(x):
    """log(1 + x), also near x = 0."""
    return np.log1p(x)


@inlined
def pow64(x, y):
    """x^y; NaN for x < 0 unless y is an integer."""
    return x**y


@inlined
def tanh64(x):
    """Hyperbolic tangent."""
    return np.tanh(x)


@inlined
def sigmoid64(x):
    """1 / (1 + exp(-x))."""
    return _ONE / (_ONE + np.exp(-x))


@inlined
def softplus64(x):
    """log(1 + exp(x))."""
    return max64(x, _ZERO) + np.log1p(np.exp(-abs(x)))


@inlined
def linear64(table, x, last):
    """As `lookup.linear32`: between nodes 0, 1, ..., last; the ends hold beyond them."""
    x = x if x > _ZERO else _ZERO
    x = x if x < last else last
    i = np.int64(x)
    return table[i] + (x - i) * (table[i + 1] - table[i])


@inlined
def bilinear64(table, x, y, last_x, last_y, width):
    """As `lookup.bilinear32`: the same in two directions; table is flat, row by row of `width` numbers."""
    x = x if x > _ZERO else _ZERO
    x = x if x < last_x else last_x
    y = y if y > _ZERO else _ZERO
    y = y if y < last_y else last_y
    i, j = np.int64(x), np.int64(y)
    g, at = y - j, i * width + j
    first = table[at] + g * (table[at + 1] - table[at])
    second = table[at + width] + g * (table[at + width + 1] - table[at + width])
    return first + (x - i) * (second - first)
