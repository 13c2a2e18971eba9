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
def _fire(fire, thresholds, n, key, slot, sample):
    """fire[j] = 1 where line j fires in this slot; counter (j // 4, slot, sample, 0)."""
    zero = np.uint32(0)
    for q in range((n + 3) // 4):
        a, b, c, d = philox(key[0], key[1], np.uint32(q), slot, sample, zero)
        fire[4 * q] = np.uint64(a) < thresholds[4 * q]
        fire[4 * q + 1] = np.uint64(b) < thresholds[4 * q + 1]
        fire[4 * q + 2] = np.uint64(c) < thresholds[4 * q + 2]
        fire[4 * q + 3] = np.uint64(d) < thresholds[4 * q + 3]


@lean_kernel
def bit_lines(ask, first, out):
    """Draws the lines of a block of samples.

    Args:
        ask: a `Request` for these samples; first: index of the first of them in the whole update.
        out: `Lines`, filled.
    Returns: (pulses of all rows, clipped lines, lines with p > 0).
    """
    x, d = ask.x, ask.d
    n_in, n_out = x.shape[1], d.shape[1]
    x_key, d_key = call_words(ask.key, X_BITS, ask.event), call_words(ask.key, D_BITS, ask.event)
    out.row_bits[:] = 0
    out.row_pulses[:] = 0
    clipped, lines, at = 0, 0, 0
    for s in range(x.shape[0]):
        x_max, d_max = float(largest32(x[s])), float(largest32(d[s]))
        length, px, pd = train(
            x_max, d_max, abs(ask.lr), ask.granularity, ask.bl, ask.update_management, ask.bl_management
        )
        any_negative = False
        if length > 0:
            for j in range(n_in):
                p = abs(np.float64(x[s, j])) * px
                out.x_threshold[j] = threshold(p)
                out.negative[j] = x[s, j] < 0
                any_negative |= x[s, j] < 0
                clipped += p > 1.0 + 1e-6
                lines += p > 0.0
            for i in range(n_out):
                p = abs(np.float64(d[s, i])) * pd
                out.d_threshold[i] = threshold(p)
                out.row_down[s, i] = (d[s, i] < 0) != (ask.lr < 0)
                clipped += p > 1.0 + 1e-6
                lines += p > 0.0
        sample = np.uint32(first + s)
        for k in range(ask.bl):
            start = at
            middle = at
            if k < length:
                slot = np.uint32(k)
                _fire(out.fire, out.x_threshold, n_in, x_key, slot, sample)
                if any_negative:
                    for j in range(n_in):
                        out.columns[at] = j
                        at += out.fire[j] & (out.negative[j] ^ 1)
                    middle = at
                    for j in range(n_in):
                        out.columns[at] = j
                        at += out.fire[j] & out.negative[j]
                else:
                    for j in range(n_in):
                        out.columns[at] = j
                        at += out.fire[j]
                    middle = at
                if at > start:
                    _fire(out.fire, out.d_threshold, n_out, d_key, slot, sample)
                    for i in range(n_out):
                        out.row_bits[s, i, k >> 6] |= np.uint64(out.fire[i]) << np.uint64(k & 63)
                        out.row_pulses[i] += (at - start) * out.fire[i]
            out.ends[s, k, 0] = start
            out.ends[s, k, 1] = middle
            out.ends[s, k, 2] = at
    return out.row_pulses.sum(), clipped, lines
