"""The digital side of a matrix of blocks: their scales, the sum of their outputs, the bias, and the way back.

Matrices are given by address (see `mho.numerics.address`). Each of these replaces a few torch operations on some
thousand numbers, which take longer to start than to run.
"""

import numpy as np

from mho.numerics.address import array_at, floats_at
from mho.numerics.machine_code import lean_kernel


@lean_kernel
def add_touched(out, first, second, factor, rows, n, touched, touched_too):
    """Set out = first + factor * second, (rows, n) float32, where either is marked; clear the marks.

    touched, touched_too: (rows + n,) uint8, the marked rows and columns of first and of second.
    """
    marks, more = array_at(touched, (rows + n,), np.uint8), array_at(touched_too, (rows + n,), np.uint8)
    factor = np.float32(factor)
    for i in range(rows):
        if marks[i] | more[i]:
            marks[i] = more[i] = 0
            to = floats_at(out + 4 * n * i, n)
            a, b = floats_at(first + 4 * n * i, n), floats_at(second + 4 * n * i, n)
            for j in range(n):
                to[j] = a[j] + factor * b[j]
    to, a, b = floats_at(out, rows * n), floats_at(first, rows * n), floats_at(second, rows * n)
    for j in range(n):
        if marks[rows + j] | more[rows + j]:
            marks[rows + j] = more[rows + j] = 0
            for i in range(j, rows * n, n):
                to[i] = a[i] + factor * b[i]


FEW = 2  # changes in a row that are marked column by column


@lean_kernel
def write_changed(w, values, rows, n, touched):
    """Set w = values, (rows, n) float32; mark the rows that change, or their columns where no more than `FEW` do.

    touched: (rows + n,) uint8, the marks of rows and columns.
    """
    marks = array_at(touched, (rows + n,), np.uint8)
    for i in range(rows):
        to, line = floats_at(w + 4 * n * i, n), floats_at(values + 4 * n * i, n)
        changes = 0
        for j in range(n):
            changes += to[j] != line[j]
        if changes > FEW:
            marks[i] = 1
        elif changes:
            for j in range(n):
                marks[rows + j] |= to[j] != line[j]
        if changes:
            for j in range(n):
                to[j] = line[j]


@lean_kernel
def copy_lines(x, stride, samples, n, out):
    """Set out (samples, n) to the n numbers at x of each of the rows, which are `stride` numbers apart."""
    for r in range(samples):
        line, to = floats_at(x + 4 * stride * r, n), floats_at(out + 4 * n * r, n)
        for j in range(n):
            to[j] = line[j]


@lean_kernel
def add_output(y, samples, n, scale, n_scale, bias, first, out, stride):
    """Set out = scale * y for the first block of a row, out + scale * y for the others; then add the bias.

    Args:
        y: (samples, n) float32; scale: n_scale = 0 (none), 1 or n numbers; bias: n numbers, or address 0.
        out: (samples, n) float32, rows `stride` numbers apart.
    """
    for r in range(samples):
        line, to = floats_at(y + 4 * n * r, n), floats_at(out + 4 * stride * r, n)
        factors, offset = floats_at(scale, n_scale), floats_at(bias, n)
        if not first:
            for j in range(n):
                to[j] += (
                    line[j] * factors[j] if n_scale == n else line[j] * factors[0] if n_scale else line[j]
                )
        elif n_scale == 0:
            for j in range(n):
                to[j] = line[j]
        elif n_scale == n:
            for j in range(n):
                to[j] = line[j] * factors[j]
        else:
            for j in range(n):
                to[j] = line[j] * factors[0]
        if bias != 0:
            for j in range(n):
                to[j] += offset[j]


@lean_kernel
def error_of_block(g, stride, samples, n, scale, n_scale, d, y, gy):
    """Set d = -scale * g, the error of a block, and gy = g * y, whose sum is the gradient of its scale.

    Args:
        g: (samples, n) float32, rows `stride` numbers apart; scale: as in `add_output`.
        d, gy: (samples, n) float32, written; y: (samples, n), or address 0 if gy is not wanted.
    """
    for r in range(samples):
        line, to = floats_at(g + 4 * stride * r, n), floats_at(d + 4 * n * r, n)
        factors = floats_at(scale, n_scale)
        if n_scale == 0:
            for j in range(n):
                to[j] = -line[j]
        elif n_scale == n:
            for j in range(n):
                to[j] = -(line[j] * factors[j])
        else:
            for j in range(n):
                to[j] = -(line[j] * factors[0])
        if y != 0:
            output, into = floats_at(y + 4 * n * r, n), floats_at(gy + 4 * n * r, n)
            for j in range(n):
                into[j] = line[j] * output[j]
