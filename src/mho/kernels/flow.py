"""Counted pulses applied together, by the flow of the law. `kernels/build.py` joins this text to each law's
`flow`; as it stands, with the ideal cell, it is an ordinary module.

A cell that got n_up and n_down pulses follows dw/dt = dw_min (n_up q_up(w) - n_down q_down(w)) for 0 < t < 1,
as if they had come evenly mixed: midpoint steps of at most PULSES_A_STEP pulses, each with one normal number
for the cycle-to-cycle noise of its pulses, Philox counter (step * ceil(in / 8) + column // 8, row, 0, 0).
"""

import numpy as np

from mho.kernels.compile import kernel, loop
from mho.kernels.finish import finish_row
from mho.kernels.ideal import NOISY, flow  # law: build.py puts the law's own here
from mho.kernels.normal import fill_normals
from mho.kernels.philox import call_words
from mho.kernels.vector import wide
from mho.rng import Stream

C2C = int(Stream.C2C)
PULSES_A_STEP = 32
_ZERO = np.uint32(0)


@loop
def _flow(arrays, scal, counts, noise_key, rows, z, words):
    wide()
    cells, planes = arrays.cells, arrays.planes
    n_in = np.uint64(cells.shape[1])
    groups = (n_in + np.uint64(7)) // np.uint64(8)
    bad = -1
    for i in range(np.uint64(rows[0]), np.uint64(rows[1])):
        most = np.int32(0)
        for j in range(n_in):
            most = max(most, counts[0, i, j] + counts[1, i, j])
        if most == 0:
            continue
        steps = (most + PULSES_A_STEP - 1) // PULSES_A_STEP
        share = np.float32(1.0) / np.float32(steps)
        for step in range(np.uint64(steps)):
            if NOISY:
                fill_normals(z, words, step * groups, n_in, *noise_key, np.uint32(i), _ZERO, _ZERO)
            for j in range(n_in):
                up, down = np.float32(counts[0, i, j]) * share, np.float32(counts[1, i, j]) * share
                cells[i, j] = flow(cells[i, j], up, down, z[j], planes, i, j, scal)
        if not finish_row(arrays, i):
            bad = np.int64(i)
    return bad


@kernel
def flow_rows(arrays, scal, counts, ask, rows):
    """Applies counts[0] (up) and counts[1] (down), (out, in) int32, to rows[0] <= i < rows[1].

    Returns: a row with a weight that is not finite or -1.
    """
    room = arrays.cells.shape[1] + 16
    noise_key = call_words(ask.key, C2C, ask.event)
    return _flow(arrays, scal, counts, noise_key, rows, np.zeros(room, np.float32), np.empty(room, np.uint32))
