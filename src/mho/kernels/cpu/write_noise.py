"""Write noise of the cells that an update changed: drawn anew, and the apparent weight with it."""

import numpy as np

from mho.numerics.compile import loop
from mho.numerics.machine_code import kernel
from mho.numerics.normal import normal_pair
from mho.numerics.philox import philox
from mho.numerics.vector import wide

_ZERO, _NOTHING = np.uint32(0), np.float32(0)


@kernel
def rewrite_changed(cells, before, top, left, noise, reference, offset, visible, sigma, k0, k1):
    """Set, for every cell (out, in) that differs from `before`, noise = sigma xi, offset = reference - noise and
    visible = cells - offset. An empty reference is one of zeros. The number of column j comes from counter
    (j // 8, row, 0, 0), as in `normal_plane`. `before` is the part of the cells that may have changed, whose first
    cell is (top, left).

    A row's changed cells are gathered first: the loops that draw for them are then without gaps.
    """
    (rows, columns), shifted = before.shape, reference.size > 0
    n_groups = (cells.shape[1] + 7) // 8
    room = 8 * n_groups
    changed, groups = np.zeros(room, np.uint8), np.empty(n_groups, np.uint32)
    words, word, odd = np.empty(4 * n_groups, np.uint32), np.empty(room, np.uint32), np.empty(room, np.uint32)
    at, xi = np.empty(room, np.int64), np.empty(room, np.float32)
    eight, inside = changed.view(np.uint64), slice(left, left + columns)
    for i in range(top, top + rows):
        _compare(changed[inside], cells[i, inside], before[i - top])
        n_drawn = 0
        for group in range(left // 8, (left + columns + 7) // 8):
            if eight[group] != 0:
                groups[n_drawn] = group
                n_drawn += 1
        _draw(words, groups, n_drawn, k0, k1, np.uint32(i))
        n = 0
        for q in range(n_drawn):
            first = 8 * np.int64(groups[q])
            for k in range(8):
                at[n], word[n], odd[n] = first + k, words[4 * q + k // 2], k & 1
                n += changed[first + k]
        _normals(xi, word, odd, n)
        for m in range(n):
            j = at[m]
            noise[i, j] = sigma * xi[m]
            offset[i, j] = (reference[i, j] if shifted else _NOTHING) - noise[i, j]
            visible[i, j] = cells[i, j] - offset[i, j]


@loop
def _compare(changed, cells, before):
    wide()
    for j in range(len(before)):
        changed[j] = cells[j] != before[j]


@loop
def _draw(words, groups, n, k0, k1, row):
    """Draw four words for each of the first n groups of eight columns."""
    wide()
    for q in range(n):
        a, b, c, d = philox(k0, k1, groups[q], row, _ZERO, _ZERO)
        words[4 * q] = a
        words[4 * q + 1] = b
        words[4 * q + 2] = c
        words[4 * q + 3] = d


@loop
def _normals(xi, word, odd, n):
    """Set xi[m] to the first or the second (where odd) of word m's two normal numbers, for m < n."""
    wide()
    for m in range(n):
        first, second = normal_pair(word[m])
        xi[m] = second if odd[m] else first
