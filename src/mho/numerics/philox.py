"""Philox4x32-10: random words as a pure function of a key and a counter.

A random quantity is named, never drawn in sequence: its key says which tile, which stream and which event
it belongs to, its 128-bit counter says which sample, row and column group. Any part of a run can therefore
be computed on any thread, in any order, and again.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import numpy as np

from mho.numerics.compile import loop, part
from mho.numerics.rng import M0, M1, ROUNDS, W0, W1

_M0, _M1 = np.uint64(M0), np.uint64(M1)
_W0, _W1 = np.uint32(W0), np.uint32(W1)
_HALF = np.uint64(32)
_WORD = np.uint64(0xFFFFFFFF)


@part
def philox(k0, k1, c0, c1, c2, c3):
    """Return the four uint32 words of counter (c0, c1, c2, c3) under key (k0, k1); all arguments are uint32.

    The words live in 64-bit lanes and are masked only where they are multiplied, which x86 does for nothing:
    six vector instructions a round instead of fourteen.
    """
    x0, x1, x2, x3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    for _ in range(ROUNDS):
        p0 = _M0 * (x0 & _WORD)
        p1 = _M1 * (x2 & _WORD)
        x0 = (p1 >> _HALF) ^ x1 ^ np.uint64(k0)
        x2 = (p0 >> _HALF) ^ x3 ^ np.uint64(k1)
        x1 = p1
        x3 = p0
        k0 = np.uint32(k0 + _W0)
        k1 = np.uint32(k1 + _W1)
    return np.uint32(x0), np.uint32(x1), np.uint32(x2), np.uint32(x3)


@loop
def call_words(key, stream, event):
    """Return `rng.call_key` in compiled code: (low, high) of one use; key = (low, high) of the tile."""
    low, high, _, _ = philox(
        key[0], key[1], np.uint32(event & 0xFFFFFFFF), np.uint32(event >> 32), np.uint32(stream), np.uint32(0)
    )
    return low, high
