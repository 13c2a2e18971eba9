"""Write noise of the cells that an update changed: drawn anew, and the apparent weight with it."""

import numpy as np

from mho.kernels.compile import kernel
from mho.kernels.normal import fill_normals

_ZERO, _NOTHING = np.uint32(0), np.float32(0)


@kernel
def rewrite_changed(cells, before, top, left, noise, reference, offset, visible, sigma, k0, k1):
    """For every cell (out, in) that differs from `before`: noise = sigma xi, offset = reference - noise and
    visible = cells - offset. An empty reference is one of zeros. The number of column j comes from counter
    (j // 8, row, 0, 0), as in `normal_plane`. `before` is the part of the cells that may have changed, whose first
    cell is (top, left).
    """
    (rows, columns), shifted = before.shape, reference.size > 0
    width = cells.shape[1]
    z, words = np.empty(width + 8, np.float32), np.empty(width + 8, np.uint32)
    for i in range(top, top + rows):
        changed = 0
        for j in range(left, left + columns):
            changed += cells[i, j] != before[i - top, j - left]
        if changed == 0:
            continue
        dense = 8 * changed >= width
        if dense:
            fill_normals(z, words, 0, width, k0, k1, np.uint32(i), _ZERO, _ZERO)
        made = -1
        for j in range(left, left + columns):
            if cells[i, j] != before[i - top, j - left]:
                if not dense and j // 8 != made:
                    made = j // 8
                    fill_normals(z[8 * made :], words, made, 8, k0, k1, np.uint32(i), _ZERO, _ZERO)
                noise[i, j] = sigma * z[j]
                offset[i, j] = (reference[i, j] if shifted else _NOTHING) - noise[i, j]
                visible[i, j] = cells[i, j] - offset[i, j]
