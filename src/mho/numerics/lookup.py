"""Interpolation in constant tables, in float32: the compiled form of `mho.responses.lookup`.

A table has its last row, and column, twice, so that every node has a successor. Loads go through an intrinsic that
knows no negative indices, so that loops over cells gather 16 numbers at a time.
"""

import numpy as np

from mho.numerics.compile import elementary
from mho.numerics.vector import entry, select32

_ZERO, _ONE = np.float32(0), np.int32(1)


@elementary(share=1.01)
def linear32(table, x, last):
    """Interpolate between nodes 0, 1, ..., last; the ends hold beyond them, and 0 for NaN."""
    x = select32(x > _ZERO, x, _ZERO)
    x = select32(x < last, x, last)
    i = np.int32(x)
    a = entry(table, i)
    return a + (x - np.float32(i)) * (entry(table, np.int32(i + _ONE)) - a)


@elementary(share=1.01)
def bilinear32(table, x, y, last_x, last_y, width):
    """Interpolate in two directions; table is flat, row by row of `width` numbers."""
    x = select32(x > _ZERO, x, _ZERO)
    x = select32(x < last_x, x, last_x)
    y = select32(y > _ZERO, y, _ZERO)
    y = select32(y < last_y, y, last_y)
    i, j = np.int32(x), np.int32(y)
    g = y - np.float32(j)
    width = np.int32(width)
    above = np.int32(np.int32(i * width) + j)
    below = np.int32(above + width)
    a, c = entry(table, above), entry(table, below)
    first = a + g * (entry(table, np.int32(above + _ONE)) - a)
    second = c + g * (entry(table, np.int32(below + _ONE)) - c)
    return first + (x - np.float32(i)) * (second - first)
