"""Standard normal numbers from Philox words, by Box and Muller's transform, four from one call.

Source: Box and Muller, "A note on the generation of random normal deviates", 1958.
"""

import numpy as np
from numba import njit

from mho.kernels.math32 import log32, sincos2pi32
from mho.kernels.philox import philox

_STEP = np.float32(2.0**-32)
_HALF = np.float32(0.5)
_MINUS_TWO = np.float32(-2.0)
_ZERO = np.uint32(0)


@njit(nogil=True, fastmath=False, error_model="numpy", inline="always")
def unit(word):
    """A uint32 as a float32 in (0, 1]: the middle of its cell of width 2^-32, as float32 rounds it."""
    return (np.float32(word) + _HALF) * _STEP


@njit(nogil=True, fastmath=False, error_model="numpy", inline="always")
def normals4(k0, k1, c0, c1, c2, c3):
    """Four independent N(0, 1) float32 numbers (|z| < 6.8) for one Philox counter."""
    a, b, c, d = philox(k0, k1, c0, c1, c2, c3)
    r = np.sqrt(_MINUS_TWO * log32(unit(a)))
    t = np.sqrt(_MINUS_TWO * log32(unit(c)))
    s0, s1 = sincos2pi32(unit(b))
    s2, s3 = sincos2pi32(unit(d))
    return r * s0, r * s1, t * s2, t * s3


@njit(nogil=True, fastmath=False, error_model="numpy")
def fill_normals(z, n, k0, k1, c1, c2, c3):
    """z[p] for p < n from counters (p // 4, c1, c2, c3); z has room for n rounded up to a multiple of 4."""
    for q in range((n + 3) // 4):
        z0, z1, z2, z3 = normals4(k0, k1, np.uint32(q), c1, c2, c3)
        z[4 * q] = z0
        z[4 * q + 1] = z1
        z[4 * q + 2] = z2
        z[4 * q + 3] = z3


@njit(nogil=True, fastmath=False, error_model="numpy", cache=True)
def normal_plane(out, k0, k1, c2):
    """Fills out (rows, columns) float32 with N(0, 1): counter (column // 4, row, c2, 0)."""
    rows, columns = out.shape
    z = np.empty(columns + 4, np.float32)
    for i in range(rows):
        fill_normals(z, columns, k0, k1, np.uint32(i), c2, _ZERO)
        for j in range(columns):
            out[i, j] = z[j]
