"""Stochastic bit lines: which slots of a pulse train fire on each row and column, sample by sample.

A cell gets one pulse in every slot in which its column's line (from x) and its row's line (from d) both
fire. All rows share the column lines. Where few columns fire in a slot they are kept as a list, and the work
left for a row is one visit per pulse; where many do, as a mark for each column, and a row goes over all its
cells 16 at a time. Both give the same bits.

Source: Gokmen and Vlasov 2016 (stochastic trains); pulse probabilities as in aihwkit 1.2.0,
rpu_pulsed_meta_parameter.cpp (update management and pulse-train length management).
"""

import math

import numpy as np

from mho.kernels.compile import kernel, loop, part
from mho.kernels.math32 import largest32
from mho.kernels.philox import call_words, philox
from mho.kernels.vector import wide
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
def _fire(fire, groups, thresholds, n, key, slot, sample):
    """fire[j] = groups[j] where line j fires in this slot, else 0; counter (j // 4, slot, sample, 0).

    All arrays have room for n rounded up to a multiple of 4.
    """
    zero = np.uint32(0)
    for q in range((n + 3) // 4):
        a, b, c, d = philox(key[0], key[1], np.uint32(q), slot, sample, zero)
        fire[4 * q] = groups[4 * q] & -np.int64(np.uint64(a) < thresholds[4 * q])
        fire[4 * q + 1] = groups[4 * q + 1] & -np.int64(np.uint64(b) < thresholds[4 * q + 1])
        fire[4 * q + 2] = groups[4 * q + 2] & -np.int64(np.uint64(c) < thresholds[4 * q + 2])
        fire[4 * q + 3] = groups[4 * q + 3] & -np.int64(np.uint64(d) < thresholds[4 * q + 3])


@part
def _list(columns, at, marks, n, mark):
    """columns[at], columns[at + 1], ... = the j < n with marks[j] == mark."""
    for j in range(n):
        columns[at] = j
        at += np.uint64(marks[j] == mark)


@loop
def _draw(ask, first, span, out, x_key, d_key, x_threshold, d_threshold, groups, ones, fire):
    wide()
    x, d = ask.x, ask.d
    n_in, n_out = x.shape[1], d.shape[1]
    clipped, lines, pulses = 0, 0, 0
    for s in range(np.uint64(span[0]), np.uint64(span[1])):
        x_max, d_max = float(largest32(x[s])), float(largest32(d[s]))
        length, px, pd = train(
            x_max, d_max, abs(ask.lr), ask.granularity, ask.bl, ask.update_management, ask.bl_management
        )
        out.row_bits[s] = 0
        out.row_pulses[s] = 0
        any_negative = False
        if length > 0:
            for j in range(n_in):
                p = abs(np.float64(x[s, j])) * px
                x_threshold[j] = threshold(p)
                groups[j] = 1 + (x[s, j] < 0)
                any_negative |= x[s, j] < 0
                clipped += p > 1.0 + 1e-6
                lines += p > 0.0
            for i in range(n_out):
                p = abs(np.float64(d[s, i])) * pd
                d_threshold[i] = threshold(p)
                out.row_down[s, i] = (d[s, i] < 0) != (ask.lr < 0)
                clipped += p > 1.0 + 1e-6
                lines += p > 0.0
        sample = np.uint32(first + s)
        for k in range(np.uint64(length)):
            slot, marks = np.uint32(k), out.marks[s, k]
            _fire(marks, groups, x_threshold, n_in, x_key, slot, sample)
            above, below = 0, 0
            for j in range(n_in):
                above += marks[j] == 1
            if any_negative:
                for j in range(n_in):
                    below += marks[j] == 2
            out.fired[s, k, 0] = above
            out.fired[s, k, 1] = below
            if above + below == 0:
                continue
            at = (s * np.uint64(ask.bl) + k) * np.uint64(n_in)
            if 0 < above < ask.list_below:
                _list(out.columns, at, marks, n_in, 1)
            if 0 < below < ask.list_below:
                _list(out.columns, at + np.uint64(above), marks, n_in, 2)
            _fire(fire, ones, d_threshold, n_out, d_key, slot, sample)
            for i in range(n_out):
                out.row_bits[s, i, k >> np.uint64(6)] |= np.uint64(fire[i]) << (k & np.uint64(63))
                out.row_pulses[s, i] += (above + below) * fire[i]
        pulses += out.row_pulses[s].sum()
    return pulses, clipped, lines


@kernel
def bit_lines(ask, first, span, out):
    """Draws the lines of the samples span[0] <= s < span[1] of a block.

    Args:
        ask: a `Request` for the block; first: index of its first sample in the whole update.
        out: `Lines` of the block, filled for these samples; slots beyond a sample's train are left as they are.
    Returns: (pulses of all rows, clipped lines, lines with p > 0).
    """
    width = max(ask.x.shape[1], ask.d.shape[1]) + 4
    x_key, d_key = call_words(ask.key, X_BITS, ask.event), call_words(ask.key, D_BITS, ask.event)
    x_threshold, d_threshold = np.zeros(width, np.uint64), np.zeros(width, np.uint64)  # 0 never fires
    groups, ones, fire = np.empty(width, np.uint8), np.ones(width, np.uint8), np.empty(width, np.uint8)
    return _draw(ask, first, span, out, x_key, d_key, x_threshold, d_threshold, groups, ones, fire)
