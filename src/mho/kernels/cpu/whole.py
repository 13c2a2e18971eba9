"""Numbers of pulses as they come in: are they whole, and how many pulses are they?"""

import numpy as np

from mho.numerics.address import floats_at
from mho.numerics.compile import lean_kernel
from mho.numerics.vector import wide

MOST = 2.0**24  # beyond it float32 holds no odd numbers


@lean_kernel
def count_pulses(address, n):
    """Sum of |v| of the n float32 at an address, or -1.0 if one is not finite, not whole, or too large."""
    wide()
    values = floats_at(address, n)
    total, fine = 0, True
    for q in range(n):
        size = abs(values[q])
        ok = size < np.float32(MOST)
        number = np.int32(size if ok else np.float32(0.0))
        fine &= ok & (np.float32(number) == size)
        total += number
    return total if fine else -1
