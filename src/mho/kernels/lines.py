"""Stochastic bit lines: which slots of a pulse train fire on each row and column, sample by sample.

A cell gets one pulse in every slot in which its column's line (from x) and its row's line (from d) both
fire. Column lines are kept as lists of firing columns, slot by slot, because all rows share them: the work
left for the rows is then one visit per pulse and nothing per silent cell.

Source: Gokmen and Vlasov 2016 (stochastic trains); pulse probabilities as in aihwkit 1.2.0,
rpu_pulsed_meta_parameter.cpp (update management and pulse-train length management).
"""

import math

import numpy as np

from mho.kernels.compile import kernel, lean_kernel, part
from mho.kernels.math32 import largest32
from mho.kernels.philox import call_words, philox
from mho.rng import Stream

X_BITS, D_BITS = int(Stream.X_BITS), int(Stream.D_BITS)
_FULL = 4294967296.0  # a threshold that every 32-bit word is below


@part
def train(x_max, d_max, lr, granularity, bl, update_management, bl_management):
    """Length of the train and the two factors that turn |x| and |d| into firing probabilities (float64).

    k = lr max|x| max|d| / dw_min is the largest expected number of pulses of the sample.
    """
    k = lr * x_max * d_max / granularity
    if k == 0.0:
        return 0, 0.0, 0.0
    length = bl
    if bl_management:
        length = min(math.ceil(k), bl) if k < bl else bl
    scale = math.sqrt(lr / (granularity * length))
    if not (update_management or bl_management):
        return length, scale, scale
    if k > bl:
        d_max = d_max * bl / k
    return length, scale * math.sqrt(d_max / x_max), scale * math.sqrt(x_max / d_max)


@part
def threshold(probability):
    """The 32-bit threshold whose words lie below it with this probability, as a uint64 (2^32 for p >= 1)."""
    return np.uint64(min(probability * _FULL, _FULL))


@kernel
def first_bad(values):
    """Index of the first row of a float32 matrix that holds NaN or infinity, or -1."""
    for s in range(values.shape[0]):
        if not np.isfinite(largest32(values[s])):
            return s
    return -1


@part
def _fire(fire, thresholds, n, k0, k1, slot, sample):
    """fire[j] = 1 where line j fires in this slot; counter (j // 4, slot, sample, 0)."""
    zero = np.uint32(0)
    for q in range((n + 3) // 4):
        a, b, c, d = philox(k0, k1, np.uint32(q), slot, sample, zero)
        fire[4 * q] = np.uint64(a) < thresholds[4 * q]
        fire[4 * q + 1] = np.uint64(b) < thresholds[4 * q + 1]
        fire[4 * q + 2] = np.uint64(c) < thresholds[4 * q + 2]
        fire[4 * q + 3] = np.uint64(d) < thresholds[4 * q + 3]


@lean_kernel
def bit_lines(
    x, d, lr, granularity, bl, management, key, event, first, columns, ends, row_bits, row_down, row_pulses,
    fire, negative, tx, td,
):  # fmt: skip
    """Draws the lines of a block of samples. (`_nrt=False`: reference counts would cost more than the work.)

    Args:
        x: (samples, in) float32; d: (samples, out) float32; both finite.
        management: (update_management, bl_management).
        key, event: of the update, see `philox.call_words`; first: index of the first sample in the update.
        columns: uint32 list, filled with the firing columns, sample by sample and slot by slot, those with
            x > 0 before those with x < 0; room for samples * bl * in + 1.
        ends: (samples, bl, 3) uint64, filled with [start, end of x > 0, end] of each slot's part of `columns`.
        row_bits: (samples, out, words) uint64, filled with the row lines; row_down: (samples, out) uint8,
            1 where lr d < 0.
        row_pulses: (out,) int64, filled with the number of pulses that each row gets from these samples.
        fire, negative: uint8, tx, td: uint64, all of length max(in, out) + 4: scratch.
    Returns: (pulses of all rows, clipped lines, lines with p > 0).
    """
    samples, n_in = x.shape
    n_out = d.shape[1]
    x_key, d_key = call_words(key, X_BITS, event), call_words(key, D_BITS, event)
    row_bits[:] = 0
    row_pulses[:] = 0
    clipped, lines, at = 0, 0, 0
    for s in range(samples):
        x_max, d_max = largest32(x[s]), largest32(d[s])
        length, px, pd = train(
            float(x_max), float(d_max), abs(lr), granularity, bl, management[0], management[1]
        )
        any_negative = False
        if length > 0:
            for j in range(n_in):
                p = abs(np.float64(x[s, j])) * px
                tx[j] = threshold(p)
                negative[j] = x[s, j] < 0
                any_negative |= x[s, j] < 0
                clipped += p > 1.0 + 1e-6
                lines += p > 0.0
            for i in range(n_out):
                p = abs(np.float64(d[s, i])) * pd
                td[i] = threshold(p)
                row_down[s, i] = (d[s, i] < 0) != (lr < 0)
                clipped += p > 1.0 + 1e-6
                lines += p > 0.0
        sample = np.uint32(first + s)
        for k in range(bl):
            ends[s, k, 0] = at
            if k < length:
                slot = np.uint32(k)
                _fire(fire, tx, n_in, x_key[0], x_key[1], slot, sample)
                if any_negative:
                    for j in range(n_in):
                        columns[at] = j
                        at += fire[j] & (negative[j] ^ 1)
                    ends[s, k, 1] = at
                    for j in range(n_in):
                        columns[at] = j
                        at += fire[j] & negative[j]
                else:
                    for j in range(n_in):
                        columns[at] = j
                        at += fire[j]
                    ends[s, k, 1] = at
                ends[s, k, 2] = at
                active = at - np.int64(ends[s, k, 0])
                if active > 0:
                    _fire(fire, td, n_out, d_key[0], d_key[1], slot, sample)
                    for i in range(n_out):
                        row_bits[s, i, k >> 6] |= np.uint64(fire[i]) << np.uint64(k & 63)
                        row_pulses[i] += active * fire[i]
            else:
                ends[s, k, 1] = at
                ends[s, k, 2] = at
    return row_pulses.sum(), clipped, lines
