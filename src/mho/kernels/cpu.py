"""Pulsed updates on the CPU: draws the bit lines of a block of samples, then sends the rows to the threads."""

import threading
from typing import NamedTuple

import numpy as np

from mho.device import Cells, Device
from mho.kernels.build import Layout, kernels_for
from mho.kernels.lines import bit_lines
from mho.threads import over_rows
from mho.pulses import Pulses
from mho.rng import Stream, call_key, split

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
    """What one update did. `bad` is a row that now holds a weight that is not finite, or -1;
    `bad_sample` a sample whose x or d is not finite (then nothing was sent), or -1."""

    up: int
    down: int
    clipped: int
    lines: int
    bad: int = -1
    bad_sample: int = -1


class CpuKernels:
    """The compiled update of one tile: its law's module, and which parameters are planes."""

    def __init__(self, device: Device, cells: Cells) -> None:
        layout = Layout(device, cells)
        self.module = kernels_for(device, layout)
        self.scal = layout.scal(device)
        self.granularity = float(device.dw_min)

    def update(
        self, a: Arrays, x: np.ndarray, d: np.ndarray, lr: float, pulses: Pulses, key: int, event: int
    ) -> Sent:
        """Adds lr d x^T to the cells by pulses; x (samples, in) and d (samples, out) float32, contiguous."""
        if pulses.rounding == "stochastic":
            return self._rounded(a, x, d, lr, pulses, key, event)
        return self._trains(a, x, d, lr, pulses, key, event)

    def _trains(self, a, x, d, lr, pulses: Pulses, key: int, event: int) -> Sent:
        x_key, d_key, c2c_key = (_words(call_key(key, s, event)) for s in (Stream.X_BITS, Stream.D_BITS, Stream.C2C))
        management = (pulses.update_management, pulses.bl_management)
        block = max(1, min(len(x), _LIST_ROOM // (pulses.bl * x.shape[1])))
        up = down = clipped = lines = 0
        bad = -1
        sent = np.zeros(len(a.cells), np.int64)
        for first in range(0, len(x), block):
            xs, ds = x[first : first + block], d[first : first + block]
            work_space = _line_space(len(xs), pulses.bl, x.shape[1], d.shape[1])
            work, too_big, drawn, bad_sample = bit_lines(
                xs, ds, lr, self.granularity, pulses.bl, management, x_key, d_key, first, *work_space
            )
            if bad_sample >= 0:
                return Sent(up, down, clipped, lines, bad, first + bad_sample)
            clipped, lines = clipped + too_big, lines + drawn

            def rows(span, work_space=work_space):
                return self.module.trains_rows(
                    a.cells, a.planes, self.scal, *work_space, sent, c2c_key, span, a.visible, a.reference, a.counts
                )

            for more_up, more_down, bad_row in over_rows(rows, len(a.cells), work > _WORTH_THREADS):
                up, down, bad = up + more_up, down + more_down, max(bad, bad_row)
        return Sent(up, down, clipped, lines, bad)

    def _rounded(self, a, x, d, lr, pulses: Pulses, key: int, event: int) -> Sent:
        round_key, c2c_key = (_words(call_key(key, s, event)) for s in (Stream.X_BITS, Stream.C2C))

        def rows(span):
            return self.module.rounded_rows(
                a.cells, a.planes, self.scal, x, d, lr, self.granularity, pulses.bl, round_key, c2c_key, span,
                a.visible, a.reference, a.counts,
            )  # fmt: skip

        parts = over_rows(rows, len(a.cells), a.cells.size * len(x) > _WORTH_THREADS)
        up, down, bad, clipped = zip(*parts, strict=True)
        return Sent(sum(up), sum(down), sum(clipped), a.cells.size * len(x), max(bad))


def _words(key: int) -> tuple[np.uint32, np.uint32]:
    low, high = split(key)
    return np.uint32(low), np.uint32(high)


def _line_space(samples: int, bl: int, n_in: int, n_out: int) -> tuple[np.ndarray, ...]:
    """Room for the bit lines of a block, kept by thread and shape: nothing is allocated in a warm step."""
    spaces = _local.__dict__.setdefault("spaces", {})
    shape = (samples, bl, n_in, n_out)
    if shape not in spaces:
        if len(spaces) > 64:
            spaces.clear()
        spaces[shape] = (
            np.empty(samples * bl * n_in + 1, np.uint32),
            np.empty((samples, bl, 3), np.int32),
            np.empty((samples, n_out, (bl + 63) // 64), np.uint64),
            np.empty((samples, n_out), np.uint8),
            np.empty(n_out, np.int64),
        )
    return spaces[shape]
