"""Uniform numbers in [0, 1) from Philox words: 24 bits of each."""

import numpy as np

from mho.numerics.compile import kernel
from mho.numerics.philox import philox

_ZERO, _EIGHT, _STEP = np.uint32(0), np.uint32(8), np.float32(2.0**-24)


@kernel
def uniform_plane(out, k0, k1):
    """Fills out (rows, columns) float32: word column % 4 of counter (column // 4, row, 0, 0)."""
    rows, columns = out.shape
    for i in range(rows):
        for q in range((columns + 3) // 4):
            lanes = philox(k0, k1, np.uint32(q), np.uint32(i), _ZERO, _ZERO)
            for lane in range(min(4, columns - 4 * q)):
                out[i, 4 * q + lane] = np.float32(lanes[lane] >> _EIGHT) * _STEP
