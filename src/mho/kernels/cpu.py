"""Pulsed updates on the CPU: draws the bit lines of a block of samples, then sends the rows to the threads."""

import threading
from typing import NamedTuple

import numpy as np

from mho.device import Cells, Device
from mho.kernels.build import Layout, kernels_for
from mho.kernels.lines import bit_lines
from mho.pulses import Pulses
from mho.rng import split
from mho.threads import get_threads, over_rows

_LIST_ROOM = 1 << 20  # most entries of a block's column lists (4 MiB): decides how many samples a block has
_WORTH_THREADS = 30_000  # pulses below which waking a second thread costs more than it saves
_local = threading.local()


class Arrays(NamedTuple):
    """A tile's memory as the kernels see it; `visible`, `reference` and `counts` may be empty."""

    cells: np.ndarray  # (out, in) float32, hidden weights
    planes: np.ndarray  # (k, out, in) float32, parameters that differ from cell to cell
    visible: np.ndarray  # (out, in) float32, apparent weights
    reference: np.ndarray  # (out, in) float32
    counts: np.ndarray  # (2, out, in) int32, up and down pulses of each cell


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
        self.scal = layout.scal(device)
        self.arrays = arrays
        self.granularity = float(device.dw_min)
        low, high = split(key)
        self.key = np.uint32(low), np.uint32(high)

    def update(self, x: np.ndarray, d: np.ndarray, lr: float, pulses: Pulses, event: int) -> Sent:
        """Adds lr d x^T to the cells by pulses; x (samples, in), d (samples, out) float32, contiguous, finite."""
        if pulses.rounding == "stochastic":
            return self._rounded(x, d, lr, pulses, event)
        management = (pulses.update_management, pulses.bl_management)
        block = max(1, min(len(x), _LIST_ROOM // (pulses.bl * x.shape[1])))
        if block < len(x):
            return self._blocks(x, d, lr, pulses.bl, management, event, block)
        a = self.arrays
        space = _line_space(len(x), pulses.bl, x.shape[1], d.shape[1])
        sent = np.zeros(len(a.cells), np.int64)
        most = _WORTH_THREADS if get_threads() > 1 else 1 << 62
        up, down, bad, clipped, lines, work = self.module.trains_at_once(
            a.cells, a.planes, self.scal, x, d, lr, self.granularity, pulses.bl, management, self.key, event,
            *space, sent, a.visible, a.reference, a.counts, most,
        )  # fmt: skip
        if work > most:
            up, down, bad = self._rows(space, sent, event, True)
        return Sent(up, down, bad, clipped, lines)

    def _blocks(self, x, d, lr, bl: int, management, event: int, block: int) -> Sent:
        """The same for many samples: block by block, so that the lines stay in the cache."""
        up = down = clipped = lines = 0
        bad = -1
        sent = np.zeros(len(self.arrays.cells), np.int64)
        for first in range(0, len(x), block):
            xs, ds = x[first : first + block], d[first : first + block]
            space = _line_space(len(xs), bl, x.shape[1], d.shape[1])
            work, too_big, drawn = bit_lines(
                xs, ds, lr, self.granularity, bl, management, self.key, event, first, *space
            )
            more_up, more_down, bad_row = self._rows(space, sent, event, work > _WORTH_THREADS)
            up, down, bad = up + more_up, down + more_down, max(bad, bad_row)
            clipped, lines = clipped + too_big, lines + drawn
        return Sent(up, down, bad, clipped, lines)

    def _rows(self, space, sent, event: int, worth_it: bool) -> tuple[int, int, int]:
        a = self.arrays

        def rows(span):
            return self.module.trains_rows(
                a.cells,
                a.planes,
                self.scal,
                *space[:5],
                sent,
                self.key,
                event,
                span,
                a.visible,
                a.reference,
                a.counts,
            )

        up, down, bad = zip(*over_rows(rows, len(a.cells), worth_it), strict=True)
        return sum(up), sum(down), max(bad)

    def _rounded(self, x, d, lr, pulses: Pulses, event: int) -> Sent:
        a = self.arrays

        def rows(span):
            return self.module.rounded_rows(
                a.cells, a.planes, self.scal, x, d, lr, self.granularity, pulses.bl, self.key, event, span,
                a.visible, a.reference, a.counts,
            )  # fmt: skip

        work = a.cells.size * len(x)
        up, down, bad, clipped = zip(*over_rows(rows, len(a.cells), work > _WORTH_THREADS), strict=True)
        return Sent(sum(up), sum(down), max(bad), sum(clipped), work)


def _line_space(samples: int, bl: int, n_in: int, n_out: int) -> tuple[np.ndarray, ...]:
    """Room for the bit lines of a block, kept by thread and shape: nothing is allocated in a warm step."""
    spaces = _local.__dict__.setdefault("spaces", {})
    shape = (samples, bl, n_in, n_out)
    if shape not in spaces:
        if len(spaces) > 64:
            spaces.clear()
        spaces[shape] = (
            np.empty(samples * bl * n_in + 1, np.uint32),
            np.empty((samples, bl, 3), np.uint64),
            np.empty((samples, n_out, (bl + 63) // 64), np.uint64),
            np.empty((samples, n_out), np.uint8),
            np.empty(n_out, np.int64),
            *(np.zeros(max(n_in, n_out) + 4, kind) for kind in (np.uint8, np.uint8, np.uint64, np.uint64)),
        )
    return spaces[shape]
