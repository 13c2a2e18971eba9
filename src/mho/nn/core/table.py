"""A layer's table for compiled calls: what `mho.kernels.cpu.calls` has to know of its blocks and their terms."""

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch

from mho.base.signals import uninterrupted
from mho.device.io import IO
from mho.nn.core.given import Given
from mho.numerics.rng import signed
from mho.tile.events import NEXT_TERM
from mho.tile.scratch import CallRoom, call_room

Scales = Sequence[torch.Tensor | None]
_FLOAT = torch.float32


@functools.cache
def kernels() -> ModuleType:
    """Load Numba with the first product, not with `import mho`."""
    with uninterrupted():
        import mho.kernels.cpu.calls

    return mho.kernels.cpu.calls


@functools.cache
def _gemm() -> int:
    with uninterrupted():
        from mho.numerics.blas import sgemm
    return sgemm()


class CallTable:
    """The table of one layer. It is never changed: where a block or a scale has moved, another one is made.

    Args:
        signature: all that it was made from, see `_signature`.
    """

    def __init__(self, layout: Any, signature: list[Any]) -> None:
        k, columns = kernels(), len(layout.columns)
        self.blocks, self.signature = layout.blocks, signature
        self.n_in, self.n_out = layout.columns[-1][1], layout.rows[-1][1]
        self.heights = [block.shape[0] for block in layout.blocks]
        self._wide = max(right - left for left, right in layout.columns)
        self._high = max(self.heights)
        self._columns, self.rows = columns, 0
        self.kept: list[np.ndarray] = []
        lines: list[np.ndarray] = []
        before: dict[int, IO] = {}  # {column: forward converters of the row before}
        for n, (block, (scale, n_scale, own, terms)) in enumerate(zip(layout.blocks, signature, strict=True)):
            (at, column), last = divmod(n, columns), len(terms) - 1
            (top, bottom), (left, right) = layout.rows[at], layout.columns[column]
            back: IO | None = None
            for place, (matrix, coefficient, there, here) in enumerate(terms):
                line = np.zeros(k.WIDTH, np.int64)
                factor = np.array([coefficient], np.float32)
                self.kept.append(factor)
                line[k.KEY], line[k.TERM] = signed(block.key), place * NEXT_TERM
                line[k.N_IN], line[k.N_OUT], line[k.LEFT], line[k.TOP] = right - left, bottom - top, left, top
                line[k.FIRST], line[k.LAST] = place == 0, place == last
                line[k.LEFTMOST], line[k.RIGHTMOST] = column == 0, column == columns - 1
                line[k.LOWEST], line[k.COLUMN] = at == len(layout.rows) - 1, column
                line[k.MATRIX], line[k.COEFFICIENT] = matrix, factor.ctypes.data
                line[k.SCALE], line[k.N_SCALE] = scale, n_scale
                line[k.OWN], line[k.N_OWN] = own
                for io, begin in ((there, k.FORWARD), (here, k.BACKWARD)):
                    line[begin : begin + 2] = [part.ctypes.data for part in io.numbers]
                    line[begin + 2] = io.retries
                    self.kept += io.numbers
                line[k.SAME_IN] = _are_equal(before.get(column), there)
                line[k.SAME_BACK] = _are_equal(back, here)
                before[column], back = there, here
                lines.append(line)
        self.numbers = np.stack(lines)
        self.address, self.rows = self.numbers.ctypes.data, len(lines)

    def room(self, samples: int) -> CallRoom:
        """Return the calling thread's room for so many samples; the caller holds it."""
        return call_room(samples, self.n_in, self._columns, self._wide, self._high, _gemm())

    def size(self, samples: int) -> int:
        """Count the numbers in the outputs (samples, out) of all blocks, each begun at 64 bytes."""
        return sum((samples * n + 15) // 16 * 16 for n in self.heights)


def table_of(x: torch.Tensor, layout: Any, scales: Scales, bias: torch.Tensor | None) -> CallTable | None:
    """Return the table of a layer as it is now, or None if a call has to go block by block.

    Brings the weights of the blocks up to date.
    """
    if not x.is_cpu or not len(x):
        return None
    if bias is not None and not (_is_plain(bias) and bias.numel() == layout.rows[-1][1]):
        return None
    kept: CallTable | None = layout.calls.table
    signature = _signature(layout.blocks, scales)
    if signature is None or not _gemm():
        return None
    if kept is None or kept.blocks is not layout.blocks or kept.signature != signature:
        kept = layout.calls.__dict__["table"] = CallTable(layout, signature)
    return kept


def _signature(blocks: Any, scales: Scales) -> list[Any] | None:
    """Return all that a table depends on, or None where there is something that it does not describe."""
    found = []
    for block, scale in zip(blocks, scales, strict=True):
        if type(block) is Given:
            return None
        block.follow()
        io = block.io
        there, here = io["forward"], io["backward"]
        if there.perfect or here.perfect or there.wires is not None or here.wires is not None:
            return None
        if block.hardware.algorithm.mix == "shared_adc":
            w = block._seen
            if not w.is_cpu:
                return None
            terms = [(w.data_ptr(), 1.0, there, here)]
        else:
            terms = []
            for term in block.visible():
                w = term.tile.w
                if term.row_signs is not None or term.column_signs is not None or not _is_plain(w):
                    return None
                if terms:
                    there, here = io["forward"].unmanaged, io["backward"].unmanaged
                terms.append((w.data_ptr(), term.coefficient, there, here))
        own = (0, 0)
        if block.is_scaled:
            if not _is_plain(block.scale):
                return None
            own = block.scale.data_ptr(), block.scale.numel()
        if scale is None:
            found.append((0, 0, own, terms))
        else:
            n = scale.numel()
            if not _is_plain(scale) or (n != 1 and n != block.shape[0]):
                return None
            found.append((scale.data_ptr(), n, own, terms))
    return found


def _is_plain(t: torch.Tensor) -> bool:
    return t.dtype is _FLOAT and t.is_cpu and t.is_contiguous()


def _are_equal(before: IO | None, io: IO) -> bool:
    """Return whether two converters encode the same inputs alike, which those with noise of their own do not."""
    if before is None or io.sigma_inp > 0:
        return False
    return before.sigma_inp == 0 and np.array_equal(before.numbers[0], io.numbers[0])
