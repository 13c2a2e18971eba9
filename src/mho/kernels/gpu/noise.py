"""The noise of a block's pulses on the GPU, drawn before they are sent, each number once.

A pulse's noise is a function of its number in its row. The lanes of a slot need numbers that lie close together,
and a call of Philox gives eight: drawn lane by lane, that is eight times the work, most of it for columns that do
not fire. Here rows get the numbers that they will use, one behind the other, and the pulses only look them up.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
import triton
import triton.language as tl

from mho.kernels.gpu.launch import EXACT, block_for
from mho.kernels.gpu.lines import SLOTS
from mho.kernels.gpu.normal import eight_normals

_ROOM = 1 << 28  # numbers of a strip (1 GiB); two strips may be held at a time
_ROWS, _CALLS = 128, 128  # rows, and calls of Philox, of one program
_SCAN = 1024  # rows that the sum over all of them takes at a time


class Strip(NamedTuple):
    """Some rows. The noise of pulse p of row i is noise[starts[i] - starts[first] + p - before[i] // 8 * 8]."""

    first: int
    rows: int
    noise: torch.Tensor  # float32
    starts: torch.Tensor  # (out + 1,) int64


class DrawnLines(Protocol):
    """The lines of some samples; see `mho.kernels.gpu.lines` for their shapes."""

    length: torch.Tensor
    d_words: torch.Tensor
    fired: torch.Tensor


def noise_of(
    lines: DrawnLines, samples: int, bl: int, before: torch.Tensor, key: tuple[int, int]
) -> Iterator[Strip]:
    """Yield the noise of all pulses of these samples, some rows at a time; the host waits once, for their numbers.

    Args:
        before: (out,) int64, pulses that each row got in this update before them.
        key: words of its key.
    """
    n_out = len(before)
    sent, starts = torch.zeros_like(before), before.new_empty(n_out + 1)
    rows = block_for(n_out, _ROWS)
    count_rows[(samples, -(-n_out // rows))](
        lines.length, lines.d_words, lines.fired, sent, n_out, bl, BLOCK=rows, **EXACT
    )
    place_rows[(1,)](sent, before, starts, n_out, BLOCK=block_for(n_out, _SCAN), **EXACT)
    ends = starts.cpu().numpy()
    first = 0
    while first < n_out:
        last = max(int(np.searchsorted(ends, ends[first] + _ROOM, side="right")) - 1, first + 1)
        noise = torch.empty(int(ends[last] - ends[first]), dtype=torch.float32, device=before.device)
        calls = int(np.diff(ends[first : last + 1]).max()) // 8
        if calls:
            draw[(last - first, -(-calls // _CALLS))](
                noise, starts, before, *key, first, BLOCK=_CALLS, **EXACT
            )
        yield Strip(first, last - first, noise, starts)
        first = last


@triton.jit
def count_rows(length, row_words, fired, sent, n_out, bl, BLOCK: tl.constexpr):
    """Add the pulses of each row to sent (out,) int64: one program a sample and block of rows."""
    s = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    slots, words = tl.load(length + s), (bl + SLOTS - 1) // SLOTS
    n = tl.zeros((BLOCK,), tl.int64)
    for word in range((slots + SLOTS - 1) // SLOTS):
        bits = tl.load(row_words + (s * words + word) * n_out + i, mask=i < n_out, other=0)
        for bit in range(SLOTS):
            slot = word * SLOTS + bit
            at = fired + 2 * (s * bl + slot)
            columns = tl.load(at, mask=slot < slots, other=0) + tl.load(at + 1, mask=slot < slots, other=0)
            n += ((bits >> bit) & 1).to(tl.int64) * columns
    tl.atomic_add(sent + i, n, mask=(i < n_out) & (n > 0))


@triton.jit
def place_rows(sent, before, starts, n_out, BLOCK: tl.constexpr):
    """Set starts (out + 1,) int64 to where each row's numbers begin, all that a call of Philox gives being kept
    together; at the end, how many there are."""
    place = tl.full((), 0, tl.int64)
    for first in range(0, n_out, BLOCK):
        i = first + tl.arange(0, BLOCK)
        n = tl.load(sent + i, mask=i < n_out, other=0)
        n = tl.where(n > 0, (tl.load(before + i, mask=i < n_out, other=0) % 8 + n + 7) // 8 * 8, 0)
        tl.store(starts + i, place + tl.cumsum(n, 0) - n, mask=i < n_out)
        place += tl.sum(n)
    tl.store(starts + n_out, place)


@triton.jit(do_not_specialize=["low", "high", "first_row"])
def draw(noise, starts, before, low, high, first_row, BLOCK: tl.constexpr):
    """Draw the numbers of a row: one program a row, from first_row on, and block of calls."""
    i = tl.program_id(0).to(tl.int64) + first_row
    start = tl.load(starts + i)
    n = tl.load(starts + i + 1) - start
    first = tl.program_id(1).to(tl.int64) * BLOCK
    if 8 * first < n:
        call = tl.load(before + i) // 8 + first + tl.arange(0, BLOCK)
        at = 8 * first + tl.arange(0, 8 * BLOCK)
        z = eight_normals(low, high, call, i, i * 0, BLOCK)
        tl.store(noise + start - tl.load(starts + first_row) + at, z, mask=at < n)
