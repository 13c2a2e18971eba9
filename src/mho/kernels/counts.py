"""The pulses of many samples counted cell by cell, without sending them one by one."""

import numpy as np

from mho.kernels.compile import lean_kernel
from mho.kernels.vector import popcount32, wide

_ONE = np.uint64(1)


@lean_kernel
def count_pulses(lines, x, rows, counts):
    """Adds the pulses of a block of samples to counts[0] (up) and counts[1] (down), both (out, in) int32.

    One "and" of two words and one population count serve 32 slots of a cell.

    Args:
        lines: `Lines` of the block; x: (samples, in) float32, for its signs.
        rows: the first and the last row, plus one, to be counted.
    """
    wide()
    n_in = np.uint64(x.shape[1])
    for i in range(np.uint64(rows[0]), np.uint64(rows[1])):
        for s in range(np.uint64(x.shape[0])):
            down = np.uint64(lines.row_down[s, i])
            for word in range(np.uint64(lines.words.shape[1])):
                row = lines.row_words[s, word, i]
                if row == 0:
                    continue
                if lines.negative[s]:
                    for j in range(n_in):
                        both = row & lines.words[s, word, j]
                        above = both if x[s, j] > 0 else np.uint32(0)
                        counts[down, i, j] += popcount32(above)
                        counts[_ONE - down, i, j] += popcount32(both ^ above)
                else:
                    for j in range(n_in):
                        counts[down, i, j] += popcount32(row & lines.words[s, word, j])
