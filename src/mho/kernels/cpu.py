"""Pulsed updates on the CPU: draws the bit lines of a block of samples, then sends the rows to the threads."""

import threading
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

import numpy as np

from mho.device import Cells, Device
from mho.kernels.build import Layout, kernels_for
from mho.kernels.counts import count_pulses
from mho.kernels.lines import bit_lines
from mho.kernels.memory import Arrays, Lines, Request, new_lines
from mho.kernels.vector import can_spread
from mho.pulses import Pulses
from mho.rng import split
from mho.threads import get_threads, over_rows

_BLOCK = 1 << 20  # most column marks of a block of samples (1 MiB)
_WORTH_DRAWS = 100_000  # random words and pulses below which waking a second thread costs more than it saves
_WORTH_PULSES = 30_000
_WORTH_COUNTS = 500_000  # cell-samples
_local = threading.local()


class Sent(NamedTuple):
    """What one update did; `bad` is a row that now holds a weight that is not finite, or -1."""

    up: int
    down: int
    bad: int
    clipped: int
    lines: int


class CpuKernels:
    """The compiled update of one tile: its law's module, its memory, and its key."""

    def __init__(self, device: Device, cells: Cells, arrays: Arrays, key: int) -> None:
        layout = Layout(device, cells)
        self.module = kernels_for(device, layout)
        self.flow: ModuleType | None = None
        self.device, self.layout = device, layout
        self.scal = layout.scal(device)
        self.arrays = arrays
        self.list_below = self._list_below(arrays.cells.shape[1])
        self.granularity = float(device.dw_min)
        low, high = split(key)
        self.key = np.uint32(low), np.uint32(high)

    def update(self, x: np.ndarray, d: np.ndarray, lr: float, pulses: Pulses, event: int) -> Sent:
        """Adds lr d x^T to the cells by pulses; x (samples, in), d (samples, out) float32, contiguous, finite."""
        ask = Request(
            x,
            d,
            lr,
            self.granularity,
            pulses.bl,
            pulses.update_management,
            pulses.bl_management,
            self.key,
            event,
            self.list_below,
        )
        if pulses.rounding == "stochastic":
            return self._rounded(ask)
        if pulses.aggregate:
            return self._aggregated(ask)
        sent = np.zeros(len(self.arrays.cells), np.int64)
        draws = len(x) * pulses.bl * (x.shape[1] + d.shape[1])
        if draws > _WORTH_DRAWS:
            return self._blocks(ask, sent)
        lines = _lines_for(ask)
        most = _WORTH_PULSES if get_threads() > 1 else 1 << 62
        up, down, bad, clipped, n_lines, work = self.module.trains_at_once(
            self.arrays, self.scal, lines, ask, sent, most
        )
        if work > most:
            up, down, bad = self._rows(lines, ask, sent, True)
        return Sent(up, down, bad, clipped, n_lines)

    def _list_below(self, n_in: int) -> int:
        """How many columns must fire in a slot before it is quicker to go over all of them."""
        if self.module.NOISY and not can_spread():
            return n_in + 1
        return max(8, int(n_in * self.module.SHARE * (1 if can_spread() else 2)))

    def _blocks(self, ask: Request, sent: np.ndarray) -> Sent:
        """The same for many bit lines: drawn by all threads, block by block so that they stay in the cache."""
        up = down = clipped = n_lines = 0
        bad = -1
        for first, part in _blocks_of(ask):
            lines = _lines_for(part)
            work, more_clipped, more_lines = _drawn(part, first, lines)
            more_up, more_down, bad_row = self._rows(lines, part, sent, work > _WORTH_PULSES)
            up, down, bad = up + more_up, down + more_down, max(bad, bad_row)
            clipped, n_lines = clipped + more_clipped, n_lines + more_lines
        return Sent(up, down, bad, clipped, n_lines)

    def _aggregated(self, ask: Request) -> Sent:
        """Counts the pulses of all samples, then lets every cell follow its law's flow."""
        counts = np.zeros((2, *self.arrays.cells.shape), np.int32)
        clipped = n_lines = 0
        for first, part in _blocks_of(ask):
            lines = _lines_for(part, by_slot=False)
            _, more_clipped, more_lines = _drawn(part, first, lines)

            def count(rows, lines=lines, x=part.x):
                count_pulses(lines, x, rows, counts)

            over_rows(count, counts.shape[1], counts[0].size * len(part.x) > _WORTH_COUNTS)
            clipped, n_lines = clipped + more_clipped, n_lines + more_lines
        if self.flow is None:
            self.flow = kernels_for(self.device, self.layout, "flow.py")
        rows_bad = over_rows(
            lambda rows: self.flow.flow_rows(self.arrays, self.scal, counts, ask, rows),
            counts.shape[1],
            counts.size > _WORTH_PULSES,
        )
        if self.arrays.counts.size:
            np.add(self.arrays.counts, counts, out=self.arrays.counts)
        up, down = (int(c.sum(dtype=np.int64)) for c in counts)
        return Sent(up, down, max(rows_bad), clipped, n_lines)

    def _rows(self, lines: Lines, ask: Request, sent: np.ndarray, worth_it: bool) -> tuple[int, int, int]:
        def rows(span):
            return self.module.trains_rows(self.arrays, self.scal, lines, ask, sent, span)

        up, down, bad = zip(*over_rows(rows, len(self.arrays.cells), worth_it), strict=True)
        return sum(up), sum(down), max(bad)

    def _rounded(self, ask: Request) -> Sent:
        def rows(span):
            return self.module.rounded_rows(self.arrays, self.scal, ask, span)

        work = self.arrays.cells.size * len(ask.x)
        parts = over_rows(rows, len(self.arrays.cells), work > _WORTH_PULSES)
        up, down, bad, clipped = zip(*parts, strict=True)
        return Sent(sum(up), sum(down), max(bad), sum(clipped), work)


def _blocks_of(ask: Request) -> Iterator[tuple[int, Request]]:
    """(index of the first sample, the request for a block of samples), block after block."""
    samples = len(ask.x)
    block = max(1, min(samples, _BLOCK // (ask.bl * ask.x.shape[1])))
    for first in range(0, samples, block):
        yield first, ask._replace(x=ask.x[first : first + block], d=ask.d[first : first + block])


def _drawn(ask: Request, first: int, lines: Lines) -> Iterator[int]:
    """(pulses, clipped lines, lines) of a block whose lines all threads draw."""
    parts = over_rows(lambda span: bit_lines(ask, first, span, lines), len(ask.x), True)
    return map(sum, zip(*parts, strict=True))


def _lines_for(ask: Request, by_slot: bool = True) -> Lines:
    """Room for the bit lines of a block, kept by thread and shape: nothing is allocated in a warm step."""
    kept = _local.__dict__.setdefault("lines", {})
    shape = (len(ask.x), ask.bl, ask.x.shape[1], ask.d.shape[1], by_slot)
    if shape not in kept:
        if len(kept) > 64:
            kept.clear()
        kept[shape] = new_lines(*shape)
    return kept[shape]
