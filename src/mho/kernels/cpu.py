"""Pulsed updates on the CPU: draws the bit lines of a block of samples, then sends the rows to the threads."""

import threading
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np

from mho.device import Cells, Device
from mho.kernels.build import Layout, kernels_for
from mho.kernels.lines import bit_lines, slots_of
from mho.kernels.memory import (
    Arrays,
    Drawing,
    Lines,
    Request,
    Scratch,
    new_drawing,
    new_lines,
    new_scratch,
)
from mho.kernels.vector import can_spread
from mho.pulses import Pulses
from mho.rng import split
from mho.threads import over_rows

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
        return self._aggregated(ask, pulses.aggregate) if pulses.aggregate else self._trains(ask)

    def _list_below(self, n_in: int) -> int:
        """How many columns must fire in a slot before it is quicker to go over all of them."""
        if self.module.NOISY and not can_spread():
            return n_in + 1
        return max(8, int(n_in * self.module.SHARE * (1 if can_spread() else 2)))

    def _blocks(self, ask: Request, send: Callable[[Lines, Request, bool], tuple], together: int = 1) -> Sent:
        """Many bit lines: drawn by all threads, block by block so that they stay in the cache, then sent."""
        up = down = clipped = n_lines = 0
        bad = -1
        samples = len(ask.x)
        block = max(1, min(samples, _BLOCK // (ask.bl * ask.x.shape[1])) // together) * together
        for first in range(0, samples, block):
            part = ask._replace(x=ask.x[first : first + block], d=ask.d[first : first + block])
            lines = _kept(new_lines, len(part.x), ask.bl, ask.x.shape[1], ask.d.shape[1], together == 1)

            def draw(span, part=part, first=first, lines=lines):
                return bit_lines(part, first, span, lines, _drawing_for(part))

            work, more_clipped, more_lines = map(sum, zip(*over_rows(draw, len(part.x), True), strict=True))
            more_up, more_down, bad_row = send(lines, part, work)
            up, down, bad = up + more_up, down + more_down, max(bad, bad_row)
            clipped, n_lines = clipped + more_clipped, n_lines + more_lines
        return Sent(up, down, bad, clipped, n_lines)

    def _aggregated(self, ask: Request, together: int) -> Sent:
        """Counts the pulses of some samples at a time, then lets every cell follow its law's flow."""
        self.flow = self.flow or kernels_for(self.device, self.layout, "flow.py")
        flow_rows, sent = self.flow.flow_rows, np.zeros(len(self.arrays.cells), np.int64)

        def send(lines, part, work):
            def rows(span):
                return flow_rows(self.arrays, self.scal, lines, part, together, sent, span, self._scratch())

            return self._on_threads(rows, self.arrays.cells.size * len(part.x) > _WORTH_COUNTS)

        return self._blocks(ask, send, together)

    def _scratch(self) -> Scratch:
        n_planes, _, n_in = self.arrays.planes.shape
        return _kept(new_scratch, n_in, n_planes)

    def _trains(self, ask: Request) -> Sent:
        """Sends every pulse, and each sees the weight that the one before it left."""
        sent = np.zeros(len(self.arrays.cells), np.int64)

        def send(lines, part, work):
            def rows(span):
                return self.module.trains_rows(
                    self.arrays, self.scal, lines, part, sent, span, self._scratch()
                )

            return self._on_threads(rows, work > _WORTH_PULSES)

        n_in, n_out = ask.x.shape[1], ask.d.shape[1]
        slots = len(ask.x) * ask.bl
        if slots * (n_in + n_out) > _WORTH_DRAWS and ask.bl_management and slots * n_in <= _BLOCK:
            slots = slots_of(ask)
        if slots * (n_in + n_out) > _WORTH_DRAWS:
            return self._blocks(ask, send)
        lines = _kept(new_lines, len(ask.x), ask.bl, n_in, n_out, True)
        work, clipped, n_lines = bit_lines(ask, 0, (0, len(ask.x)), lines, _drawing_for(ask))
        return Sent(*(send(lines, ask, work) if work else (0, 0, -1)), clipped, n_lines)

    def _on_threads(self, rows: Callable, worth_it: bool) -> tuple[int, int, int]:
        n_rows = len(self.arrays.cells)
        if not worth_it:
            return rows((0, n_rows))
        up, down, bad = zip(*over_rows(rows, n_rows, True), strict=True)
        return sum(up), sum(down), max(bad)

    def _rounded(self, ask: Request) -> Sent:
        def rows(span):
            return self.module.rounded_rows(self.arrays, self.scal, ask, span, self._scratch())

        work = self.arrays.cells.size * len(ask.x)
        parts = over_rows(rows, len(self.arrays.cells), work > _WORTH_PULSES)
        up, down, bad, clipped = zip(*parts, strict=True)
        return Sent(sum(up), sum(down), max(bad), sum(clipped), work)


def _drawing_for(ask: Request) -> Drawing:
    return _kept(new_drawing, ask.x.shape[1], ask.d.shape[1])


def _kept(make: Callable, *shape):
    """make(*shape), kept by the calling thread: nothing is allocated in a warm step."""
    kept = _local.__dict__
    if (make, shape) not in kept:
        if len(kept) > 256:
            kept.clear()
        kept[make, shape] = make(*shape)
    return kept[make, shape]
