"""Standard normal numbers from Philox words, by Box and Muller's transform: eight from one call.

Each 32-bit word gives two: its upper 20 bits the radius, its lower 12 the angle. So |z| <= 5.41, and the
distribution of one number is a mixture of 4096 directions, which no test tells from a normal one (see
tests/test_rng.py), at half the cost of two words a pair.

Source: Box and Muller, "A note on the generation of random normal deviates", 1958.
"""

import numpy as np

from mho.numerics.compile import loop, part
from mho.numerics.machine_code import kernel
from mho.numerics.math32 import bits_to_float, float_to_bits, log_unit32, select32, sincos_eighth32
from mho.numerics.philox import philox
from mho.numerics.vector import wide

_f32, _i32, _u32 = np.float32, np.int32, np.uint32
_HALF, _MINUS_TWO = _f32(0.5), _f32(-2.0)
_RADIUS_STEP, _ANGLE_STEP, _CENTRE = _f32(2.0**-20), _f32(2.0**-12), _f32(511.5)
_ZERO = _u32(0)


@part
def normal_pair(word):
    """Return two independent N(0, 1) float32 numbers from a uint32 word."""
    r = np.sqrt(_MINUS_TWO * log_unit32((_f32(_i32(word >> _u32(12))) + _HALF) * _RADIUS_STEP))
    angle = _i32(word & _u32(0xFFF))
    s, c = sincos_eighth32((_f32(_i32(angle & _i32(1023))) - _CENTRE) * _ANGLE_STEP)
    quarter = (angle & _i32(1024)) != _i32(0)  # then (c, s) turns into (-s, c)
    half = _i32(_i32(angle & _i32(2048)) << _i32(20))  # the sign bit, where half a turn is to be added
    flip = _i32(half ^ _i32(_i32(angle & _i32(1024)) << _i32(21)))
    x = bits_to_float(_i32(float_to_bits(select32(quarter, s, c)) ^ flip))
    y = bits_to_float(_i32(float_to_bits(select32(quarter, c, s)) ^ half))
    return r * x, r * y


@loop
def normals_of(words, n, z):
    """Set z[0], z[1], ... to the pairs of the first n words."""
    wide()
    for m in range(n):
        z0, z1 = normal_pair(words[m])
        z[2 * m] = z0
        z[2 * m + 1] = z1


@loop
def fill_normals(z, words, first, n, k0, k1, c1, c2, c3):
    """Fill z[p] for p < n: number p is p % 8 of counter (first + p // 8, c1, c2, c3); of those, word p % 8 // 2.

    z and words (scratch, uint32) have room for n rounded up to a multiple of 8.
    """
    wide()
    blocks = (n + 7) // 8
    for q in range(blocks):
        a, b, c, d = philox(k0, k1, _u32(first + q), c1, c2, c3)
        words[4 * q] = a
        words[4 * q + 1] = b
        words[4 * q + 2] = c
        words[4 * q + 3] = d
    normals_of(words, 4 * blocks, z)


@kernel
def normal_plane(out, k0, k1, c2):
    """Fill out (rows, columns) float32 with N(0, 1): counter (column // 8, row, c2, 0)."""
    rows, columns = out.shape
    z = np.empty(columns + 8, np.float32)
    words = np.empty(columns + 8, np.uint32)
    for i in range(rows):
        fill_normals(z, words, 0, columns, k0, k1, _u32(i), c2, _ZERO)
        for j in range(columns):
            out[i, j] = z[j]
