"""Pulses of several samples, counted and applied together by the flow of the law, which is called by its address.

The bit lines are those of the exact update. The pulses that a cell gets from `aggregate` successive samples are
counted, 32 slots at a time. Then the cell follows dw/dt = dw_min (n_up q_up(w) - n_down q_down(w)) for
0 < t < 1, as if they had come evenly mixed: midpoint steps of at most PULSES_A_STEP pulses, each with one normal
number for the cycle-to-cycle noise of its pulses. Step number p of a row takes the noise of column j from Philox
counter (p * ceil(in / 8) + j // 8, row, 0, 0).
"""

import numpy as np

from mho.kernels.cpu.finish import finish_row
from mho.kernels.cpu.flow import PULSES_A_STEP
from mho.kernels.cpu.memory import arrays_at, lines_at, request_at, scratch_at
from mho.kernels.cpu.trains import law_at
from mho.numerics.compile import loop
from mho.numerics.machine_code import lean_kernel
from mho.numerics.native import address_in, call_at
from mho.numerics.normal import fill_normals
from mho.numerics.philox import call_words
from mho.numerics.rng import Stream
from mho.numerics.vector import popcount32, wide

C2C = int(Stream.C2C)
_ZERO, _ONE = np.uint32(0), np.uint64(1)


@loop
def _count(lines, x, i, first, last, counts):
    """Count the pulses on row i from samples first <= s < last: counts[0] up and counts[1] down, (2, in) int32."""
    wide()
    n_in = np.uint64(x.shape[1])
    counts[:] = 0
    for s in range(first, last):
        down = np.uint64(lines.row_down[s, i])
        for word in range(np.uint64(lines.words.shape[1])):
            row = lines.row_words[s, word, i]
            if row == 0:
                continue
            if lines.negative[s]:
                for j in range(n_in):
                    both = row & lines.words[s, word, j]
                    above = both if x[s, j] > 0 else _ZERO
                    counts[down, j] += popcount32(above)
                    counts[_ONE - down, j] += popcount32(both ^ above)
            else:
                for j in range(n_in):
                    counts[down, j] += popcount32(row & lines.words[s, word, j])


@lean_kernel
def flow_rows(first, last, together, arrays, law, flow, lines, sent, scratch, *call):
    """Apply the pulses of a block of samples to rows first <= i < last.

    Args:
        together: samples that are counted together; the block holds a multiple of it, or the last samples.
        flow: address of `flow.flow_row`.
        sent: (out,) int64, steps that each row took for earlier blocks of this update; brought up to date.
        The others as in `trains_rows`.
    Returns: (up pulses, down pulses, a row with a weight that is not finite or -1).
    """
    arrays, law, ask, table = arrays_at(arrays), law_at(law), request_at(call), address_in(scratch)
    lines, scratch = lines_at(lines), scratch_at(scratch)
    wide()
    counts, z = scratch.counts, scratch.z
    noise_key = call_words(ask.key, C2C, ask.event)
    n_in, samples = np.uint64(arrays.cells.shape[1]), np.uint64(ask.x.shape[0])
    groups = (n_in + np.uint64(7)) // np.uint64(8)
    total, downs, bad = np.int64(0), np.int64(0), -1
    for i in range(np.uint64(first), np.uint64(last)):
        before = total
        for start in range(np.uint64(0), samples, np.uint64(together)):
            _count(lines, ask.x, i, start, min(start + np.uint64(together), samples), counts)
            most, ups, down_here = np.int32(0), np.int64(0), np.int64(0)
            for j in range(n_in):
                most = max(most, counts[0, j] + counts[1, j])
                ups += counts[0, j]
                down_here += counts[1, j]
            if most == 0:
                continue
            total += ups + down_here
            downs += down_here
            steps = (np.int64(most) + PULSES_A_STEP - 1) // PULSES_A_STEP
            for step in range(steps):
                if law.is_noisy:
                    number = np.uint64(sent[i] + step) * groups
                    fill_normals(z, scratch.words, number, n_in, *noise_key, np.uint32(i), _ZERO, _ZERO)
                call_at(flow, (law.arrays, law.numbers, table, np.int64(i), steps))
            sent[i] += steps
            if arrays.counts.shape[0] > 0:
                for j in range(n_in):
                    arrays.counts[0, i, j] += counts[0, j]
                    arrays.counts[1, i, j] += counts[1, j]
        if total > before:
            arrays.touched[i] = 1
            if not finish_row(arrays, i):
                bad = np.int64(i)
    return total - downs, downs, bad
