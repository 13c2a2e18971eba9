"""Uniform random numbers: in [0, 1), from 24 bits of a Philox word each, or signs, from one bit each."""

import numpy as np

from mho.numerics.address import floats_at
from mho.numerics.machine_code import kernel, lean_kernel
from mho.numerics.philox import philox
from mho.numerics.vector import wide

_ZERO, _ONE, _EIGHT, _STEP = np.uint32(0), np.uint32(1), np.uint32(8), np.float32(2.0**-24)


@kernel
def uniform_plane(out, k0, k1):
    """Fill out (rows, columns) float32: word column % 4 of counter (column // 4, row, 0, 0)."""
    rows, columns = out.shape
    for i in range(rows):
        for q in range((columns + 3) // 4):
            lanes = philox(k0, k1, np.uint32(q), np.uint32(i), _ZERO, _ZERO)
            for lane in range(min(4, columns - 4 * q)):
                out[i, 4 * q + lane] = np.float32(lanes[lane] >> _EIGHT) * _STEP


@lean_kernel
def random_signs(address, n, k0, k1):
    """Fill the n float32 at an address: -1.0 where bit q % 32 of word q % 128 // 32 of counter (q // 128, 0, 0, 0)
    is set, else 1.0; low and high words k0, k1 of the key."""
    wide()
    signs = floats_at(address, n)
    k0, k1 = np.uint32(k0), np.uint32(k1)
    for block in range((n + 127) // 128):
        words = philox(k0, k1, np.uint32(block), _ZERO, _ZERO, _ZERO)
        for lane in range(4):
            word, first = words[lane], 128 * block + 32 * lane
            for bit in range(min(32, n - first)):
                down = np.float32((word >> np.uint32(bit)) & _ONE)
                signs[first + bit] = np.float32(1.0) - np.float32(2.0) * down
