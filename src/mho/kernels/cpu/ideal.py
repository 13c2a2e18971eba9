"""One pulse on an ideal cell: the pattern that `kernels/law/build.py` writes for every other law.

`par` holds the per-cell parameters of the cells at hand (one row a plane), `scal` those that all cells
share: a tuple, so that the compiler keeps them in registers.
"""

from mho.numerics.compile import part


@part
def shared(numbers):
    """Return `scal`, from a float32 array."""
    return (numbers[0],)


@part
def step_up(w, z, par, i, q, scal):
    """Return the weight after one up pulse; z is the pulse's standard normal number; scal = (dw_min,)."""
    return w + scal[0]


@part
def step_down(w, z, par, i, q, scal):
    """Return the weight after one down pulse."""
    return w - scal[0]


@part
def flow(w, n_up, n_down, z, par, i, q, scal):
    """Return the weight after n_up and n_down pulses, evenly mixed; z: one normal number for all of them."""
    return w + scal[0] * (n_up - n_down)


NOISY = False
CHEAP = True
SHARE = 0.07
