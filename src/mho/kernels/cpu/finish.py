"""The end of every update of a row: apparent weights brought up to date, NaN and infinity found."""

import numpy as np

from mho.numerics.compile import loop, part
from mho.numerics.math32 import largest32


@part
def finish_columns(arrays, i, columns, a, b):
    """Bring columns[a:b] of row i up to date; return whether their weights are finite."""
    fine = True
    for q in range(a, b):
        j = columns[q]
        fine &= abs(arrays.cells[i, j]) < np.inf
        if arrays.reference.shape[0] > 0:
            arrays.visible[i, j] = arrays.cells[i, j] - arrays.reference[i, j]
    return fine


@loop
def finish_row(arrays, i):
    """Bring all columns of row i up to date; return whether their weights are finite."""
    if arrays.reference.shape[0] > 0:
        for j in range(arrays.cells.shape[1]):
            arrays.visible[i, j] = arrays.cells[i, j] - arrays.reference[i, j]
    return largest32(arrays.cells[i]) < np.inf


@part
def touch_column(arrays, x):
    """Mark the column that alone gets the pulses of an update, if x (samples, in) is one unit vector."""
    if x.shape[0] != 1:
        return False
    live, only = 0, 0
    for j in range(x.shape[1]):
        if x[0, j] != 0:
            live += 1
            only = j
    if live == 1:
        arrays.touched[arrays.cells.shape[0] + only] = 1
    return live == 1
