"""The flow of a law: many pulses on each cell of a row in one step. `kernels/law/build.py` joins this module to
each law. As it stands, cells are ideal.

It is compiled for each law, and called by its address, as `pulses.py` is.
"""

import numpy as np

from mho.kernels.cpu.ideal import NOISY, flow, shared  # noqa: F401  rewritten: the law's own
from mho.kernels.cpu.memory import memory_at, scratch_at
from mho.numerics.address import array_at
from mho.numerics.machine_code import lean_kernel
from mho.numerics.vector import wide

PULSES_A_STEP = 32  # most pulses of a cell in a step


@lean_kernel
def flow_row(arrays, numbers, scratch, row, steps):
    """Let the cells of a row take one of `steps` steps with the pulses in scratch.counts, noise scratch.z[j].

    arrays, numbers, scratch: addresses, as in `pulses.py`.
    """
    wide()
    arrays, numbers = memory_at(arrays, numbers)
    scal, scratch = shared(numbers), scratch_at(array_at(scratch, (26,), np.int64))
    cells, planes, counts, z, i = arrays.cells, arrays.planes, scratch.counts, scratch.z, np.uint64(row)
    share = np.float32(1.0) / np.float32(steps)
    for j in range(np.uint64(cells.shape[1])):
        up, down = np.float32(counts[0, j]) * share, np.float32(counts[1, j]) * share
        cells[i, j] = flow(cells[i, j], up, down, z[j], planes, i, j, scal)
