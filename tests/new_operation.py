"""A new operation of laws, added as in CONTRIBUTING: a sine, in one function; and a law that uses it."""

import numpy as np
import torch

import mho
from mho.numerics.compile import ELEMENTARY, elementary
from mho.numerics.math32 import ROUND, ROUND_BITS, sincos_eighth32
from mho.numerics.vector import bits_to_float, float_to_bits, select32

f32, i32 = np.float32, np.int32


def sin32(x):
    """sin(x), within 1e-6 of the exact value for |x| <= 4."""
    turns = x * f32(0.15915494309189535)
    shifted = f32(4) * turns + ROUND  # the nearest quarter turn
    quarter = i32(float_to_bits(shifted) - ROUND_BITS)
    s, c = sincos_eighth32(turns - (shifted - ROUND) * f32(0.25))
    size = select32((quarter & i32(1)) != i32(0), c, s)
    sign = i32(i32(quarter & i32(2)) << i32(30))
    return bits_to_float(i32(float_to_bits(size) ^ sign))


def add_the_sine(monkeypatch):
    """Make the one edit, for the time of a test."""
    monkeypatch.setitem(ELEMENTARY, "sin32", None)
    elementary("sin", double=np.sin, share=0.4)(sin32)


class Rippled(mho.Response):
    """Soft bounds with a ripple.

    Args:
        depth: of the ripple [relative].
        rate: of the ripple [radians per weight unit].
    """

    depth: float = 0.3
    rate: float = 3.0

    def up(self, w):
        return (1 - w) * (1 + self.depth * torch.sin(self.rate * w))

    def down(self, w):
        return (1 + w) * (1 + self.depth * (w * w).sin())

    def bounds(self):
        return -1.0, 1.0
