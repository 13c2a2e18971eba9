"""Pulsed updates on the CPU: draws the bit lines of a block of samples, then sends the rows to the threads."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

from mho.kernels.cpu.aggregated import flow_rows
from mho.kernels.cpu.counted import counted_column, counted_rows
from mho.kernels.cpu.lines import bit_lines, slots_of
from mho.kernels.cpu.memory import Arrays, BitLines, new_drawing, new_lines, new_scratch, table_of
from mho.kernels.cpu.trains import Law, rounded_rows, trains_rows
from mho.kernels.law.build import kernels_of
from mho.kernels.law.plan import KernelPlan, PulseTrain, Sent
from mho.numerics.native import address_of
from mho.numerics.rng import split
from mho.numerics.rooms import Rooms
from mho.numerics.threads import get_threads, over_rows
from mho.numerics.vector import can_spread

_BLOCK = 1 << 20  # most column marks of a block of samples (1 MiB)
_WORTH_DRAWS = 100_000  # slots of lines, pulses, cell-samples below which waking a second thread costs more
_WORTH_PULSES = 30_000
_WORTH_COUNTS = 500_000
_EVER = 1 << 62
_rooms = Rooms(128 << 20)


class _Room(NamedTuple):
    """Kept arrays and their table. A user of the table holds the room, which the cache may forget meanwhile."""

    table: np.ndarray
    arrays: tuple


class _Call(NamedTuple):
    """The arguments `call` of all kernels, see `memory.request_at`."""

    plan: np.ndarray
    granularity: float
    x: int
    d: int
    samples: int
    lr: float
    event: int


class _Asked(NamedTuple):
    """The words of the last request for an update, what they depend on, and the memory that they name."""

    key: tuple
    kept: dict  # rooms of the thread
    words: tuple[int, ...]
    memory: tuple


class CpuKernels:
    """The compiled update of one tile: its law's module, its memory, and its key."""

    def __init__(self, plan: KernelPlan, arrays: Arrays, key: int) -> None:
        self.plan, self.key = plan, key
        self.module = kernels_of(plan, "pulses")
        self.flow: ModuleType | None = None
        self.arrays, self.table = arrays, table_of(arrays)
        self.scal = plan.scal
        self.numbers = np.array(self.scal, np.float32)
        self.granularity = float(plan.dw_min)
        self.n_out, self.n_in = arrays.cells.shape
        self._planned: tuple[PulseTrain, np.ndarray] | None = None
        self._key = split(key)
        self._below = self._list_below(self.n_in)
        self.law = self._law()
        self._asked: _Asked | None = None
        self._asked_counts: _Asked | None = None

    def _law(self) -> np.ndarray:
        """Return the table of `trains.Law`."""
        memory = self.numbers.ctypes.data, self.table.ctypes.data
        pulses = self.module
        marked = address_of(pulses.pulse_marked, 7) if self._below <= self.n_in else 0
        law = Law(address_of(pulses.pulse_lists, 6), marked, *memory, pulses.NOISY)
        return np.array(law, np.int64)

    def update(self, x: torch.Tensor, d: torch.Tensor, lr: float, pulses: PulseTrain, event: int) -> Sent:
        """Add lr d x^T to the cells by pulses; x (samples, in), d (samples, out) float32, contiguous, finite."""
        if self._planned is None or self._planned[0] is not pulses:
            self._planned = pulses, self._plan(pulses)
        samples = x.numel() // self.n_in
        call = _Call(self._planned[1], self.granularity, x.data_ptr(), d.data_ptr(), samples, lr, event)
        if pulses.rounding == "stochastic":
            return self._rounded(call)
        if pulses.aggregate:
            return self._aggregated(call, pulses.bl, pulses.aggregate)
        return self._trains(call, pulses.bl, pulses.bl_management)

    def update_words(
        self, samples: int, pulses: PulseTrain, tally: int, events: int
    ) -> tuple[int, ...] | None:
        """Return the first words of a request for an update, see `requests.UpdateWords`.

        None if Python has to carry it out: pulses that are no trains, or too many for one block.
        tally, events: addresses of the tile's counters. The words hold as long as this object, in this thread.
        """
        if pulses.rounding == "stochastic" or pulses.aggregate or samples * pulses.bl * self.n_in > _BLOCK:
            return None
        is_alone, asked = get_threads() == 1, self._asked
        key = samples, pulses, tally, events, is_alone
        if asked is None or asked.key != key or asked.kept is not _rooms.kept:
            if self._planned is None or self._planned[0] is not pulses:
                self._planned = pulses, self._plan(pulses)
            rooms = self._lines(samples, pulses.bl), self._drawing(), self._scratch()
            plan, sent = self._planned[1], np.zeros(self.n_out, np.int64)
            tables = self.table, self.law, *(room.table for room in rooms), plan, sent
            limits = (_EVER, _EVER) if is_alone else (_WORTH_DRAWS, _WORTH_PULSES)
            granularity = int(np.float64(self.granularity).view(np.int64))
            words = *(table.ctypes.data for table in tables), granularity, tally, events, *limits
            asked = self._asked = _Asked(key, _rooms.kept, words, (*rooms, plan, sent))
        return asked.words

    def pulse_words(self, tally: int, events: int) -> tuple[int, ...]:
        """Return the first words of a request for given numbers of pulses, see `requests.PulseWords`."""
        key, asked = (tally, events, get_threads() == 1), self._asked_counts
        if asked is None or asked.key != key or asked.kept is not _rooms.kept:
            scratch, marks, pulses = self._scratch(), _kept(_new_marks, self.n_in), self.module
            tables = [table.ctypes.data for table in (self.table, self.law, scratch.table)]
            loops = address_of(pulses.pulse_rows, 7), address_of(pulses.pulse_all, 5)
            most = _EVER if key[-1] else _WORTH_PULSES if pulses.NOISY else _WORTH_COUNTS
            row = marks.arrays[0].ctypes.data, self._below
            words = *tables, *loops, *row, *self._key, tally, events, most
            asked = self._asked_counts = _Asked(key, _rooms.kept, words, (scratch, marks))
        return asked.words

    def _plan(self, pulses: PulseTrain) -> np.ndarray:
        managed = int(pulses.update_management), int(pulses.bl_management)
        row = self.n_in, self.n_out, pulses.bl, *managed, *split(self.key), self._below
        return np.array(row, np.int64)

    def _list_below(self, n_in: int) -> int:
        """Return how many columns must fire in a slot before it is quicker to go over all of them."""
        if self.module.NOISY and not can_spread():
            return n_in + 1
        return max(8, int(n_in * self.module.SHARE * (1 if can_spread() else 2)))

    def _trains(self, call: _Call, bl: int, bl_management: bool) -> Sent:
        """Send every pulse; each sees the weight that the one before it left."""
        sent = np.zeros(self.n_out, np.int64)

        def send(lines: np.ndarray, part: _Call, work: int) -> tuple[int, int, int]:
            def rows(span):
                scratch = self._scratch()
                return trains_rows(*span, self.table, self.law, lines, sent, scratch.table, *part)

            return self._on_threads(rows, work > _WORTH_PULSES)

        slots = call.samples * bl
        if slots * (self.n_in + self.n_out) > _WORTH_DRAWS and bl_management and slots * self.n_in <= _BLOCK:
            slots = slots_of(*call)
        if slots * (self.n_in + self.n_out) > _WORTH_DRAWS:
            return self._blocks(call, bl, send)
        lines, drawing, scratch = self._lines(call.samples, bl), self._drawing(), self._scratch()
        work, clipped, n_lines = bit_lines(0, 0, call.samples, lines.table, drawing.table, *call)
        if work == 0:
            return Sent(0, 0, -1, clipped, n_lines)
        if work > _WORTH_PULSES:
            return Sent(*send(lines.table, call, work), clipped, n_lines)
        fixed = self.table, self.law, lines.table, sent, scratch.table
        done = trains_rows(0, self.n_out, *fixed, *call)
        return Sent(*done, clipped, n_lines)

    def _aggregated(self, call: _Call, bl: int, together: int) -> Sent:
        """Count the pulses of some samples at a time, then let every cell follow its law's flow."""
        if self.flow is None:
            self.flow = kernels_of(self.plan, "flow")
        flow, sent = address_of(self.flow.flow_row, 5), np.zeros(self.n_out, np.int64)

        def send(lines: np.ndarray, part: _Call, work: int) -> tuple[int, int, int]:
            def rows(span):
                scratch = self._scratch()
                fixed = self.table, self.law, flow, lines, sent, scratch.table
                return flow_rows(*span, together, *fixed, *part)

            return self._on_threads(rows, self.n_out * self.n_in * part.samples > _WORTH_COUNTS)

        return self._blocks(call, bl, send, together)

    def _rounded(self, call: _Call) -> Sent:
        def rows(span):
            scratch = self._scratch()
            return rounded_rows(*span, self.table, self.law, scratch.table, *call)

        work = self.n_out * self.n_in * call.samples
        up, down, bad, clipped = zip(*over_rows(rows, self.n_out, work > _WORTH_PULSES), strict=True)
        return Sent(sum(up), sum(down), max(bad), sum(clipped), work)

    def send_counted(self, n: torch.Tensor, row: int, column: int, total: int, event: int) -> Sent:
        """Send |n| pulses, `total` in all, down where n < 0, to the rectangle of cells that begins at
        (row, column); n (rows, columns) float32, contiguous, whole numbers."""
        name, rows = (*self._key, event), len(n)
        if n.shape[1] < self.n_in:
            tables = self.table, self.law, address_of(self.module.pulse_rows, 7), self._scratch().table
            return Sent(*counted_column(*tables, n.data_ptr(), column, *name), 0, 0)
        tables = self.table, self.law, address_of(self.module.pulse_all, 5)

        def send(span):
            scratch, marks = self._scratch(), _kept(_new_marks, self.n_in)
            first, last = row + span[0], row + span[1]
            fixed = *tables, scratch.table, *marks.arrays, self._below
            return counted_rows(first, last, *fixed, n.data_ptr(), row, *name)

        if total <= (_WORTH_PULSES if self.module.NOISY else _WORTH_COUNTS):
            return Sent(*send((0, rows)), 0, 0)
        up, down, bad = zip(*over_rows(send, rows, True), strict=True)
        return Sent(sum(up), sum(down), max(bad), 0, 0)

    def _blocks(self, call: _Call, bl: int, send: Callable, together: int = 0) -> Sent:
        """Draw many bit lines on all threads, block by block so that they stay in the cache, and send them."""
        up = down = clipped = n_lines = 0
        bad, step = -1, max(together, 1)
        worth_it = call.samples * bl * (self.n_in + self.n_out) > _WORTH_DRAWS
        block = max(1, min(call.samples, _BLOCK // (bl * self.n_in)) // step) * step
        for first in range(0, call.samples, block):
            part = call._replace(
                x=call.x + 4 * first * self.n_in,
                d=call.d + 4 * first * self.n_out,
                samples=min(block, call.samples - first),
            )
            lines = self._lines(part.samples, bl, not together)

            def draw(span, part=part, first=first, lines=lines):
                drawing = self._drawing()
                return bit_lines(first, *span, lines.table, drawing.table, *part)

            work, more_clipped, more_lines = map(
                sum, zip(*over_rows(draw, part.samples, worth_it), strict=True)
            )
            more_up, more_down, bad_row = send(lines.table, part, work)
            up, down, bad = up + more_up, down + more_down, max(bad, bad_row)
            clipped, n_lines = clipped + more_clipped, n_lines + more_lines
        return Sent(up, down, bad, clipped, n_lines)

    def _on_threads(self, rows: Callable, worth_it: bool) -> tuple[int, int, int]:
        if not worth_it:
            return rows((0, self.n_out))
        up, down, bad = zip(*over_rows(rows, self.n_out, True), strict=True)
        return sum(up), sum(down), max(bad)

    def _lines(self, samples: int, bl: int, by_slot: bool = True) -> _Room:
        """Return room for a block; batches of up to 2, 4, 8, ... samples share theirs."""
        shape = samples, bl, self.n_in, self.n_out, by_slot
        room = _rooms.kept.get((new_lines, shape))
        if room is None:
            most = min(1 << (samples - 1).bit_length(), max(samples, _BLOCK // (bl * self.n_in)))
            room = _kept(new_lines, most, *shape[1:])
            if samples < most:
                lines = BitLines(*room.arrays)
                arrays = BitLines(*(array[:samples] for array in lines[:-1]), lines.columns)
                room = _rooms.keep((new_lines, shape), _Room(table_of(arrays), arrays), 0)
        return room

    def _drawing(self) -> _Room:
        return _kept(new_drawing, self.n_in, self.n_out)

    def _scratch(self) -> _Room:
        return _kept(new_scratch, self.n_in, len(self.arrays.planes))


def _kept(make: Callable[..., Any], *shape: int) -> _Room:
    """Return make(*shape) and its table, kept by the calling thread: nothing is allocated in a warm step."""
    room = _rooms.kept.get((make, shape))
    if room is None:
        arrays = make(*shape)
        room = _Room(table_of(arrays), arrays)
        _rooms.keep((make, shape), room, sum(array.nbytes for array in arrays))
    return room


def _new_marks(n_in: int) -> tuple[np.ndarray]:
    """Return marks for the columns of one row, in whole vectors of 16."""
    return (np.zeros((n_in + 15) // 16 * 16, np.uint8),)
