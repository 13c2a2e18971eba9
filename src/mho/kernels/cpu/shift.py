"""Zero-shifting: long runs of single pulses on every cell, in float64. `kernels/law/build.py` joins this module to
each law. As it stands, cells are ideal and in float32.

Pulse p of cell (i, j) goes up if p is even, or, at random, where bit p % 32 of word p % 128 // 32 of Philox counter
(j, i, p // 128, 0) is not set. Its cycle-to-cycle noise is number p % 8 of counter (j, i, p // 8, 0): both are pure
functions of their keys, so a run may be cut anywhere.
"""

import numpy as np

from mho.kernels.cpu.ideal import NOISY, shared, step_down, step_up  # rewritten: the law's own
from mho.numerics.machine_code import kernel
from mho.numerics.normal import normal_pair
from mho.numerics.philox import philox

CHUNK = 64  # columns that are pulsed together, while they are in the first cache
_ZERO, _ONE = np.uint32(0), np.uint32(1)


@kernel
def shift_rows(first, last, w, total, ups, par, numbers, n, done, tail, at_random, still, signs, noise):
    """Send pulses number done <= p < done + n to each cell of rows first <= i < last.

    Args:
        w: (out, in) hidden weights, changed; total: (out, in), gets the sum of w after each pulse p >= tail;
        ups: (out, in) int64, gets the number of up pulses if at_random.
        par: (k, out, in) parameters of the cells; numbers: those that all cells share.
        still: cells are left where they are once 64 of them moved by no more than this in a cycle of an up and a
            down pulse, if there is no noise; what they would have added to `total` is added.
        signs, noise: pairs of uint32, the keys of the two kinds of random numbers.
    Returns: pulses computed, in units of a whole chunk of cells.
    """
    scal = shared(numbers)
    columns, end, computed = w.shape[1], done + n, 0
    words = np.empty((4, CHUNK), np.uint32)
    z = np.zeros((8, CHUNK), numbers.dtype)
    v, sums = np.empty(CHUNK, numbers.dtype), np.empty(CHUNK, numbers.dtype)
    before, high = np.empty(CHUNK, numbers.dtype), np.empty(CHUNK, numbers.dtype)
    raised = np.empty(CHUNK, np.int64)
    for i in range(np.uint64(first), np.uint64(last)):
        for a in range(np.uint64(0), np.uint64(columns), np.uint64(CHUNK)):
            m = np.uint64(min(CHUNK, columns - a))
            for j in range(m):
                v[j], sums[j], raised[j] = w[i, a + j], 0.0, 0
            p = done
            while p < end:
                if at_random and (p % 128 == 0 or p == done):
                    for j in range(m):
                        four = philox(
                            signs[0], signs[1], np.uint32(a + j), np.uint32(i), np.uint32(p // 128), _ZERO
                        )
                        words[0, j], words[1, j], words[2, j], words[3, j] = four
                if NOISY and (p % 8 == 0 or p == done):
                    for j in range(m):
                        four = philox(
                            noise[0], noise[1], np.uint32(a + j), np.uint32(i), np.uint32(p // 8), _ZERO
                        )
                        z[0, j], z[1, j] = normal_pair(four[0])
                        z[2, j], z[3, j] = normal_pair(four[1])
                        z[4, j], z[5, j] = normal_pair(four[2])
                        z[6, j], z[7, j] = normal_pair(four[3])
                k = p % 8
                if at_random:
                    word, bit = np.uint64(p % 128 // 32), np.uint32(p % 32)
                    for j in range(m):
                        is_up = ((words[word, j] >> bit) & _ONE) == _ZERO
                        up = step_up(v[j], z[k, j], par, i, a + j, scal)
                        down = step_down(v[j], z[k, j], par, i, a + j, scal)
                        v[j] = up if is_up else down
                        raised[j] += is_up
                elif p % 2 == 0:
                    if p % 128 == 126:
                        for j in range(m):
                            before[j] = v[j]
                    for j in range(m):
                        v[j] = step_up(v[j], z[k, j], par, i, a + j, scal)
                else:
                    if p % 128 == 127:
                        for j in range(m):
                            high[j] = v[j]
                    for j in range(m):
                        v[j] = step_down(v[j], z[k, j], par, i, a + j, scal)
                if p >= tail:
                    for j in range(m):
                        sums[j] += v[j]
                p += 1
                computed += 1
                if not NOISY and not at_random and p % 128 == 0 and p >= done + 2:
                    moved = False
                    for j in range(m):
                        moved |= not abs(v[j] - before[j]) <= still
                    if not moved:
                        stop = end - end % 2  # skips whole cycles
                        begin = max(p, min(tail, stop))
                        n_up = (stop + 1) // 2 - (begin + 1) // 2
                        for j in range(m):
                            sums[j] += n_up * high[j] + (stop - begin - n_up) * v[j]
                        p = max(p, stop)
            for j in range(m):
                w[i, a + j] = v[j]
                total[i, a + j] += sums[j]
                ups[i, a + j] += raised[j]
    return computed
