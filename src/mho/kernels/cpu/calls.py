"""A layer's products, forward and backward, each one call over all blocks of its matrix and their terms.

A table has a row of `WIDTH` int64 numbers for each block and each term that has a product of its own. Buffers of
all blocks lie one behind the other, each begun at a multiple of 64 bytes, as torch's own tensors are.
"""

import numpy as np

from mho.kernels.cpu.assemble import add_output, copy_lines, error_of_block
from mho.kernels.cpu.converters import decode, encode
from mho.numerics.address import array_at, floats_at
from mho.numerics.blas import call_c, fma32
from mho.numerics.compile import loop
from mho.numerics.machine_code import lean_kernel

# Places in a row of the table.
KEY, TERM = 0, 1  # of the noise; what a term adds to the event
N_IN, N_OUT, LEFT, TOP = 2, 3, 4, 5  # cells of the block, its first input and output
FIRST, LAST = 6, 7  # 1 for the first and the last term of a block
LEFTMOST, RIGHTMOST, LOWEST = 8, 9, 10  # 1 for blocks in the first and last column, and in the last row
MATRIX, COEFFICIENT = 11, 12  # address of (out, in); of the term, a float32
SCALE, N_SCALE, OWN, N_OWN = (
    13,
    14,
    15,
    16,
)  # addresses of out_scale and of the scale of omega; numbers in them
FORWARD, BACKWARD = 17, 20  # address of the input converters' numbers, of the output converters', repetitions
COLUMN = 23  # of blocks
SAME_IN, SAME_BACK = 24, 25  # 1 if the inputs are encoded as for the row before that has the same ones
WIDTH = 26
# Places in the list of a room, all addresses but the last two.
ENCODED, SIZES, PART, AGAIN, SIZES_AGAIN, LINES = 0, 1, 2, 3, 4, 5
ROWS, OVER, NUMBERS, Z, WORDS, LETTERS, N_NOISE, GEMM = 6, 7, 8, 9, 10, 11, 12, 13
PLACES = 14


@loop
def _after(offset, n):
    """Return the place after n numbers, begun anew at 64 bytes."""
    return offset + (n + 15) // 16 * 16


@loop
def _gemm(room, matrix, n_in, n_out, backward, x, samples, y):
    """Set y = x W^T, or backward x W, for the matrix W (out, in)."""
    sizes = array_at(room[NUMBERS], (3,), np.int64)
    sizes[0], sizes[1], sizes[2] = n_out, samples, n_in
    out, rows, n = room[NUMBERS], room[NUMBERS] + 8, room[NUMBERS] + 16
    one, zero = room[NUMBERS] + 24, room[NUMBERS] + 28
    t, plain = room[LETTERS], room[LETTERS] + 1
    if backward:
        call_c(room[GEMM], (plain, plain, n, rows, out, one, matrix, n, x, out, zero, y, n))
    else:
        call_c(room[GEMM], (t, plain, out, rows, n, one, matrix, n, x, n, zero, y, out))


@loop
def _product(row, room, backward, x, encoded, sizes, is_encoded, y, samples, stream, event):
    """Set y to the product of one term as the converters give it; return whether the inputs are finite."""
    n_in, n_out = row[N_IN], row[N_OUT]
    driven, sensed = (n_out, n_in) if backward else (n_in, n_out)
    io, sign = (BACKWARD, -1.0) if backward else (FORWARD, 1.0)
    inward = array_at(row[io], (4,), np.float32)
    outward = array_at(row[io + 1], (3,), np.float32)
    rows = array_at(room[ROWS], (samples,), np.int64)
    over = array_at(room[OVER], (samples,), np.int64)
    z = array_at(room[Z], (room[N_NOISE],), np.float32)
    words = array_at(room[WORDS], (room[N_NOISE],), np.uint32)
    key, event = row[KEY], event + row[TERM]
    scale = array_at(sizes, (samples,), np.float32)
    if not is_encoded:
        lines = array_at(encoded, (samples, driven), np.float32)
        if encode(x, sign, lines, scale, inward, key, stream, event, rows, 0, z, words) >= 0:
            return False
    _gemm(room, row[MATRIX], n_in, n_out, backward, encoded, samples, y)
    n_over = decode(y, sensed, scale, outward, key, stream, event, rows, 0, over, z, words)
    for attempt in range(1, row[io + 2] + 1):
        if n_over == 0:
            break
        again = over[:n_over]
        lines = array_at(room[AGAIN], (n_over, driven), np.float32)
        part = room[AGAIN] + 4 * _after(0, samples * driven)
        scale = array_at(room[SIZES_AGAIN], (n_over,), np.float32)
        encode(x, sign, lines, scale, inward, key, stream, event, again, attempt, z, words)
        _gemm(room, row[MATRIX], n_in, n_out, backward, room[AGAIN], n_over, part)
        left = array_at(room[OVER] + 8 * samples, (samples,), np.int64)
        n_left = decode(part, sensed, scale, outward, key, stream, event, again, attempt, left, z, words)
        for i in range(n_over):
            copy_lines(part + 4 * sensed * i, sensed, 1, sensed, y + 4 * sensed * over[i])
        n_over = n_left
        for i in range(n_over):
            over[i] = left[i]
    return True


@loop
def _join(row, n, part, y):
    """Add the n numbers of a term at `part` to those of the terms before, or scale those of the first."""
    factor = floats_at(row[COEFFICIENT], 1)[0]
    to = floats_at(y, n)
    if row[FIRST]:
        for j in range(n):
            to[j] *= factor
    else:
        more = floats_at(part, n)
        for j in range(n):
            to[j] = fma32(factor, more[j], to[j])


@loop
def _scale(y, samples, n, scale, n_scale):
    factors = floats_at(scale, n_scale)
    for s in range(samples):
        line = floats_at(y + 4 * n * s, n)
        if n_scale == 1:
            for j in range(n):
                line[j] *= factors[0]
        else:
            for j in range(n):
                line[j] *= factors[j]


@lean_kernel
def forward(table, n_rows, places, x, n_in, bias, out, n_out, unscaled, total, first, samples, stream, event):
    """Set out = sum of out_scale * scale * (x W^T) over the blocks, plus the bias; return whether x is finite.

    Args:
        table: address of (n_rows, WIDTH); places: address of the room's list.
        x: (samples, n_in) float32; bias: (n_out,), or address 0; out: (samples, n_out).
        unscaled: room for the outputs (total, out) of each block before its out_scale, of which those from sample
            `first` on are written.
    """
    room = array_at(places, (PLACES,), np.int64)
    offset = 0
    for t in range(n_rows):
        row = array_at(table + 8 * WIDTH * t, (WIDTH,), np.int64)
        n, wide = row[N_OUT], row[N_IN]
        y = unscaled + 4 * (offset + first * n)
        encoded = room[ENCODED] + 4 * (_after(0, samples * row[LEFT]) + 16 * row[COLUMN])
        sizes = room[SIZES] + 4 * samples * row[COLUMN]
        source = x
        if wide != n_in:
            source = room[LINES]
            if row[FIRST]:
                copy_lines(x + 4 * row[LEFT], n_in, samples, wide, source)
        to = y if row[FIRST] else room[PART]
        if not _product(
            row, room, False, source, encoded, sizes, row[SAME_IN] != 0, to, samples, stream, event
        ):
            return False
        if not row[FIRST] or floats_at(row[COEFFICIENT], 1)[0] != 1:
            _join(row, samples * n, to, y)
        if row[LAST]:
            if row[N_OWN]:
                _scale(y, samples, n, row[OWN], row[N_OWN])
            offsets = bias + 4 * row[TOP] if bias != 0 and row[RIGHTMOST] else 0
            target = out + 4 * row[TOP]
            add_output(y, samples, n, row[SCALE], row[N_SCALE], offsets, row[LEFTMOST] != 0, target, n_out)
            offset = _after(offset, total * n)
    return True


@lean_kernel
def errors(table, n_rows, g, n_out, samples, d, unscaled, gy):
    """Set d = -out_scale * scale * g, the errors of all blocks, and gy = g * unscaled.

    Args:
        g: (samples, n_out) float32.
        d, unscaled, gy: as `unscaled` of `forward`; gy and unscaled are address 0 if gy is not wanted.
    """
    offset = 0
    for t in range(n_rows):
        row = array_at(table + 8 * WIDTH * t, (WIDTH,), np.int64)
        if not row[LAST]:
            continue
        n = row[N_OUT]
        to, y, more = d + 4 * offset, 0, 0
        if gy != 0:
            y, more = unscaled + 4 * offset, gy + 4 * offset
        error_of_block(g + 4 * row[TOP], n_out, samples, n, row[SCALE], row[N_SCALE], to, y, more)
        if row[N_OWN]:
            _scale(to, samples, n, row[OWN], row[N_OWN])
        offset = _after(offset, samples * n)


@lean_kernel
def backward(table, n_rows, places, d, total, first, samples, gx, n_in, stream, event):
    """Set gx = sum over the blocks of minus d W through the backward converters; return whether d is finite.

    Args:
        d: (total, out) of each block, as in `errors`, of which the samples from `first` on are multiplied.
        gx: (samples, n_in) float32, of those alone.
    """
    room = array_at(places, (PLACES,), np.int64)
    end = 0
    for t in range(n_rows):
        row = array_at(table + 8 * WIDTH * t, (WIDTH,), np.int64)
        if row[LAST]:
            end = _after(end, total * row[N_OUT])
    t = n_rows
    while t > 0:
        row = array_at(table + 8 * WIDTH * (t - 1), (WIDTH,), np.int64)
        terms = 1
        while not row[FIRST]:
            terms += 1
            row = array_at(table + 8 * WIDTH * (t - terms), (WIDTH,), np.int64)
        t -= terms
        n, wide = row[N_OUT], row[N_IN]
        end -= _after(0, total * n)
        source = d + 4 * (end + first * n)
        is_whole = wide == n_in and row[LOWEST] != 0
        y = gx if is_whole else room[LINES]
        for k in range(terms):
            row = array_at(table + 8 * WIDTH * (t + k), (WIDTH,), np.int64)
            to = y if k == 0 else room[PART]
            same = row[SAME_BACK] != 0
            if not _product(
                row, room, True, source, room[ENCODED], room[SIZES], same, to, samples, stream, event
            ):
                return False
            if k > 0 or floats_at(row[COEFFICIENT], 1)[0] != 1:
                _join(row, samples * wide, to, y)
        if is_whole:
            continue
        for s in range(samples):
            part, into = floats_at(y + 4 * wide * s, wide), floats_at(gx + 4 * (n_in * s + row[LEFT]), wide)
            if row[LOWEST]:
                for j in range(wide):
                    into[j] = part[j]
            else:
                for j in range(wide):
                    into[j] += part[j]
    return True
