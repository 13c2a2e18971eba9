"""Stochastic bit lines: the slots of a pulse train that fire on each row and column, sample by sample.

A cell gets one pulse in every slot in which its column's line (from x) and its row's line (from d) both
fire: where a uniform 32-bit number is below the line's threshold. A line is drawn as words of 32 slots. In a
train shorter than `SLICED_FROM` each slot has a number of its own: Philox counter (line // 4, slot, sample,
0), word line % 4. In a longer one the numbers of 32 slots are drawn together, most significant bits first, and
no further than is needed to tell them from the threshold, some 12 words instead of 32: counter (line // 4,
32 * word + bit, sample, 1).

All rows share the column lines. Where few columns fire in a slot they are kept as a list, and the work left
for a row is one visit per pulse; where many do, as a mark for each column, and a row goes over all its cells
16 at a time. Both give the same bits.

Source: Gokmen and Vlasov 2016 (stochastic trains); pulse probabilities as in aihwkit 1.2.0,
rpu_pulsed_meta_parameter.cpp (update management and pulse-train length management).
"""

import math

import numpy as np

from mho.kernels.cpu.memory import drawing_at, lines_at, request_at
from mho.numerics.compile import loop, part
from mho.numerics.machine_code import lean_kernel
from mho.numerics.math32 import largest32
from mho.numerics.philox import call_words, philox
from mho.numerics.rng import Stream
from mho.numerics.vector import bits64, wide

X_BITS, D_BITS = int(Stream.X_BITS), int(Stream.D_BITS)
SLICED_FROM = 8  # slots: the shortest train whose numbers are drawn bit by bit
_FULL = 4294967296.0  # a threshold that every 32-bit word is below
_LOW = np.uint64(0xFFFFFFFF)
_ALMOST = 1.0 + 1e-6  # the largest probability that is not counted as clipped
_TWO_52 = 4503599627370496.0  # added to a smaller whole number, it leaves that number in the lower 52 bits
_MANTISSA = np.uint64((1 << 52) - 1)
_STRIP = np.uint64(128)  # lines that are drawn together, until none has an open slot
_NONE, _ONE, _TWO, _THREE = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
_FOUR, _FIVE = np.uint64(4), np.uint64(5)


@part
def train(x_max, d_max, lr, granularity, bl, update_management, bl_management):
    """Return a train's length and the two factors that turn |x| and |d| into firing probabilities (float64).

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
    """Return the threshold below which 32-bit words lie with this probability, as a uint64 (2^32 for p >= 1)."""
    return bits64(np.floor(min(probability * _FULL, _FULL)) + _TWO_52) & _MANTISSA


@loop
def _by_slot(words, thresholds, first, last, length, key, sample):
    """Set words[0, j] to the slots of a short train in which line j fires, for first <= j < last."""
    wide()
    for k in range(np.uint64(length)):
        slot = np.uint32(k)
        for q in range(first // _FOUR, (last + _THREE) // _FOUR):
            j = _FOUR * q
            a, b, c, d = philox(key[0], key[1], np.uint32(q), slot, sample, np.uint32(0))
            words[_NONE, j] |= np.uint32(np.uint64(a) < thresholds[j]) << slot
            words[_NONE, j + _ONE] |= np.uint32(np.uint64(b) < thresholds[j + _ONE]) << slot
            words[_NONE, j + _TWO] |= np.uint32(np.uint64(c) < thresholds[j + _TWO]) << slot
            words[_NONE, j + _THREE] |= np.uint32(np.uint64(d) < thresholds[j + _THREE]) << slot


@loop
def _one_slot(words, thresholds, first, last, key, sample, drawn):
    """Set words[0, j] as `_by_slot` does, for a train of one slot."""
    wide()
    for q in range(first // _FOUR, (last + _THREE) // _FOUR):
        a, b, c, d = philox(key[0], key[1], np.uint32(q), np.uint32(0), sample, np.uint32(0))
        drawn[_FOUR * q] = a
        drawn[_FOUR * q + _ONE] = b
        drawn[_FOUR * q + _TWO] = c
        drawn[_FOUR * q + _THREE] = d
    for j in range(first, last):
        words[_NONE, j] = np.uint32(np.uint64(drawn[j]) < thresholds[j])


@loop
def _sliced(words, word, thresholds, first, last, slots, key, sample, open_slots, drawn):
    """Set words[word, j] to those of 32 slots, of which the train has `slots`, in which line j fires.

    open_slots[j]: slots whose number is still equal to the threshold, as far as it is drawn.
    """
    wide()
    everything = np.uint32(_LOW >> np.uint64(32 - slots))
    for start in range(first // _FOUR * _FOUR, last, _STRIP):
        end = min(start + _STRIP, last)
        for j in range(start, end):
            words[word, j] = everything if thresholds[j] > _LOW else np.uint32(0)
            open_slots[j] = everything if _NONE < thresholds[j] <= _LOW else np.uint32(0)
        for bit in range(np.uint64(32)):
            still_open = np.uint32(0)
            for j in range(start, end):
                still_open |= open_slots[j]
            if still_open == 0:
                break
            step, shift = np.uint32(np.uint64(32) * word + bit), np.uint64(31) - bit
            for q in range(start // _FOUR, (end + _THREE) // _FOUR):
                a, b, c, d = philox(key[0], key[1], np.uint32(q), step, sample, np.uint32(1))
                drawn[_FOUR * q] = a
                drawn[_FOUR * q + _ONE] = b
                drawn[_FOUR * q + _TWO] = c
                drawn[_FOUR * q + _THREE] = d
            for j in range(start, end):
                one = np.uint32(-np.int64((thresholds[j] >> shift) & _ONE) & _LOW)
                words[word, j] |= open_slots[j] & ~drawn[j] & one
                open_slots[j] &= drawn[j] ^ ~one


@part
def _line_words(words, thresholds, first, last, length, key, sample, open_slots, drawn):
    """Set words (ceil(bl / 32), n) to the slots in which lines fire, 32 a word; none outside first <= j < last."""
    words[:] = 0
    if length == 1:
        _one_slot(words, thresholds, first, last, key, sample, drawn)
    elif length < SLICED_FROM:
        _by_slot(words, thresholds, first, last, length, key, sample)
    else:
        for word in range(np.uint64((length + 31) // 32)):
            slots = min(32, length - 32 * word)
            _sliced(words, word, thresholds, first, last, slots, key, sample, open_slots, drawn)


@part
def _ends(thresholds, n):
    """Return the first line that can fire, and the last one plus one."""
    first, last = np.uint64(0), np.uint64(n)
    while first < last and thresholds[first] == 0:
        first += _ONE
    while last > first and thresholds[last - _ONE] == 0:
        last -= _ONE
    return first, last


@part
def _list(columns, at, marks, first, last, mark):
    """Set columns[at], columns[at + 1], ... to the first <= j < last with marks[j] == mark."""
    for j in range(first, last):
        columns[at] = j
        at += np.uint64(marks[j] == mark)


@loop
def _slots(ask, out, s, length, first, last):
    """Sort the columns first <= j < last of sample s, outside which none fires, by slot: `marks`, `fired`,
    `columns`; and adds up `row_pulses`."""
    wide()
    n_in, n_out = np.uint64(ask.x.shape[1]), np.uint64(ask.d.shape[1])
    for k in range(np.uint64(length)):
        word, bit, marks = k >> _FIVE, np.uint32(k & np.uint64(31)), out.marks[s, k]
        above, below = 0, 0
        if out.negative[s]:
            for j in range(first, last):
                fires = np.uint8((out.words[s, word, j] >> bit) & np.uint32(1))
                marks[j] = fires << np.uint8(ask.x[s, j] < 0)
                above += marks[j] == 1
                below += marks[j] == 2
        else:
            for j in range(first, last):
                marks[j] = np.uint8((out.words[s, word, j] >> bit) & np.uint32(1))
                above += marks[j]
        out.fired[s, k, 0] = above
        out.fired[s, k, 1] = below
        if above + below == 0:
            continue
        at = (s * np.uint64(ask.bl) + k) * n_in
        if 0 < above < ask.list_below:
            _list(out.columns, at, marks, first, last, 1)
        if 0 < below < ask.list_below:
            _list(out.columns, at + np.uint64(above), marks, first, last, 2)
        if max(above, below) >= ask.list_below:
            marks[:first] = 0
            marks[last:] = 0
        for i in range(n_out):
            out.row_pulses[s, i] += (above + below) * ((out.row_words[s, word, i] >> bit) & np.uint32(1))


@loop
def _set_thresholds(values, factor, thresholds):
    """Set the thresholds of lines with these values."""
    wide()
    for j in range(len(values)):
        thresholds[j] = threshold(abs(np.float64(values[j])) * factor)


@loop
def _live(values):
    """Return how many lines with these values can fire, and whether one is negative."""
    wide()
    live, negative = np.int32(0), np.int32(0)
    for j in range(len(values)):
        live += np.int32(values[j] != 0)
        negative |= np.int32(values[j] < 0)
    return live, negative != 0


@part
def _clipped(values, top, factor):
    """Return the number of lines whose probability lies above 1; top: the largest |value|."""
    n = 0
    if np.float64(top) * factor > _ALMOST:
        for j in range(len(values)):
            n += abs(np.float64(values[j])) * factor > _ALMOST
    return n


@part
def _any(words, first, last):
    """Return whether a line first <= j < last fires in any slot."""
    found = np.uint32(0)
    for word in range(np.uint64(words.shape[0])):
        for j in range(first, last):
            found |= words[word, j]
    return found != 0


@lean_kernel
def slots_of(*call):
    """Return the number of slots of the trains of all samples together; call: see `memory.request_at`."""
    ask = request_at(call)
    total = 0
    for s in range(ask.x.shape[0]):
        x_max, d_max = float(largest32(ask.x[s])), float(largest32(ask.d[s]))
        length, _, _ = train(
            x_max, d_max, abs(ask.lr), ask.granularity, ask.bl, ask.update_management, ask.bl_management
        )
        total += length
    return total


@lean_kernel
def bit_lines(before, first, last, lines, drawing, *call):
    """Draw the lines of the samples first <= s < last of a block.

    Args:
        before: samples of the whole update that come before the block.
        lines: table of the block's `BitLines`, filled for these samples; of `marks`, `fired` and `columns` only
            the slots of a sample's train, and nothing if `marks` is empty.
        drawing: table of the `Drawing` of this thread.
        call: the block, see `memory.request_at`.
    Returns: (pulses of all rows or 0 if `marks` is empty, clipped lines, lines with p > 0).
    """
    ask, out = request_at(call), lines_at(lines)
    x_threshold, d_threshold, open_slots, drawn = drawing_at(drawing)
    wide()
    x, d = ask.x, ask.d
    n_in, n_out = x.shape[1], d.shape[1]
    x_key, d_key = call_words(ask.key, X_BITS, ask.event), call_words(ask.key, D_BITS, ask.event)
    clipped, live, pulses, sends = 0, 0, 0, out.marks.shape[0] > 0
    for s in range(np.uint64(first), np.uint64(last)):
        x_max, d_max = float(largest32(x[s])), float(largest32(d[s]))
        length, px, pd = train(
            x_max, d_max, abs(ask.lr), ask.granularity, ask.bl, ask.update_management, ask.bl_management
        )
        out.row_pulses[s], out.is_live[s] = 0, 0
        if length == 0:
            out.row_words[s], out.words[s] = 0, 0
            continue
        sample = np.uint32(before + s)
        live_rows, _ = _live(d[s])
        live_columns, negative = _live(x[s])
        live += live_rows + live_columns
        _set_thresholds(d[s], pd, d_threshold)
        clipped += _clipped(d[s], d_max, pd) + _clipped(x[s], x_max, px)
        top, bottom = _ends(d_threshold, n_out)
        _line_words(out.row_words[s], d_threshold, top, bottom, length, d_key, sample, open_slots, drawn)
        if sends and not _any(out.row_words[s], top, bottom):  # then no column is needed
            continue
        out.negative[s] = negative
        _set_thresholds(x[s], px, x_threshold)
        for i in range(n_out):
            out.row_down[s, i] = (d[s, i] < 0) != (ask.lr < 0)
        left, right = _ends(x_threshold, n_in)
        _line_words(out.words[s], x_threshold, left, right, length, x_key, sample, open_slots, drawn)
        if not sends:
            continue
        _slots(ask, out, s, length, left, right)
        of_sample = 0
        for i in range(n_out):
            of_sample += out.row_pulses[s, i]
        out.is_live[s] = of_sample > 0
        pulses += of_sample
    return pulses, clipped, live
