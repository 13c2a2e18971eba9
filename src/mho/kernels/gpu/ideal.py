"""One pulse on an ideal cell: the pattern that `kernels/law/build.py` writes for every other law.

`par` is what `parameters` loaded for the cells at hand: a tuple of numbers and blocks.
"""

import triton
import triton.language as tl


@triton.jit
def parameters(planes, scal, at, live, size):
    """Return the parameters of the cells at offsets `at` of planes of `size` cells; scal = (dw_min,)."""
    return (tl.load(scal),)


@triton.jit
def step_up(w, z, par):
    """Return the weight after one up pulse; z is the pulse's standard normal number."""
    return w + par[0]


@triton.jit
def step_down(w, z, par):
    """Return the weight after one down pulse."""
    return w - par[0]


@triton.jit
def flow(w, n_up, n_down, z, par):
    """Return the weight after n_up and n_down pulses, evenly mixed; z: one normal number for all of them."""
    return w + par[0] * (n_up - n_down)


NOISY = tl.constexpr(False)
