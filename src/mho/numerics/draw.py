"""Device-to-device draws: named planes of random numbers, each a pure function of a tile's key.

The name is that of the quantity, such as "gain" or "tau_max". Another quantity, or another tile, has other numbers,
and the order of draws does not matter. Numba is loaded with the first draw.
"""

import numpy as np
import torch

from mho.base.signals import uninterrupted
from mho.numerics.rng import Stream, call_key, child_key, split


def draw_normal(shape: tuple[int, int], key: int, name: str) -> torch.Tensor:
    """Return N(0, 1), (out, in) float32: the device-to-device draw called `name` of the tile with this key."""
    with uninterrupted():
        from mho.numerics.normal import normal_plane

    out = torch.empty(shape, dtype=torch.float32, device="cpu")
    low, high = split(call_key(child_key(key, name), Stream.D2D))
    normal_plane(out.numpy(), np.uint32(low), np.uint32(high), np.uint32(0))
    return out


def draw_uniform(shape: tuple[int, int], key: int, name: str) -> torch.Tensor:
    """Return numbers uniform in [0, 1), (out, in) float32: the draw called `name` of the tile with this key."""
    with uninterrupted():
        from mho.numerics.uniform import uniform_plane

    out = torch.empty(shape, dtype=torch.float32, device="cpu")
    low, high = split(call_key(child_key(key, name), Stream.D2D))
    uniform_plane(out.numpy(), np.uint32(low), np.uint32(high))
    return out
