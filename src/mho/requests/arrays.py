"""Stand-ins for arrays: the verbs of a `Tile` and of a `Plane`, written down as requests."""

from typing import Any

import torch

from mho.device.pulses import Pulses
from mho.numerics.rng import Stream, signed
from mho.requests.numbers import Numbers, fits, usual
from mho.requests.queue import Queue, bits, function
from mho.tile import checks
from mho.tile.events import STREAM_OF
from mho.tile.plane import Plane
from mho.tile.scratch import room_for
from mho.tile.tile import Tile

_KNOWN = frozenset({"shape", "key", "granularity", "device", "io", "pulses", "training"})
"""Attributes of an array that no request changes."""
_RUNAWAY = 2  # as in `mho.kernels.cpu.requests`
_C2C, _READ = 8 * int(Stream.C2C), 8 * int(STREAM_OF["transfer"])  # in bytes


class Usual:
    """A stand-in for whatever has none of its own: it is asked itself, after the requests so far."""

    def __init__(self, queue: Queue, part: Any) -> None:
        self._queue, self._part = queue, part

    def __getattr__(self, name: str) -> Any:
        if name in _KNOWN:
            return getattr(self._part, name)
        self._queue.run()
        found = getattr(self._part, name)
        return self._called(found) if callable(found) else found

    def _called(self, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._queue.run()
            return function(*map(usual, args), **{name: usual(value) for name, value in kwargs.items()})

        return call


class AskedTile(Usual):
    """A stand-in for a `Tile` on a CPU whose updates are pulses."""

    @property
    def w(self) -> Numbers:
        return Numbers.of(self._queue, self._part.w)

    def update(self, x: Any, d: Any, lr: float) -> None:
        tile, queue = self._part, self._queue
        out, n_in = tile.shape
        lr, inputs, errors = checks.rate(lr), self._lines(x, n_in), self._lines(d, out)
        kernels, words, samples = tile._ready(), None, 0
        if inputs is not None and errors is not None and inputs.shape[:-1] == errors.shape[:-1]:
            samples = 1 if len(inputs.shape) == 1 else inputs.shape[0]
            words = kernels.update_words(samples, tile.pulses, *self._counters(_C2C))
        if words is None or inputs is None or errors is None:
            queue.run()
            tile.update(usual(x), usual(d), lr)
            return

        def aside(status: int) -> None:
            self._check(status)
            tile.update(inputs.at_once(), errors.at_once(), lr)

        is_checked = int(inputs.is_finite and errors.is_finite)
        queue.hold((kernels, inputs.source, errors.source))
        rest = is_checked, inputs.address, errors.address, samples, bits(lr)
        queue.add((function("update"), *words, *rest), aside)
        tile.wrote()

    def pulse(self, n: Any, *, column: int | None = None, row: int | None = None) -> None:
        tile, queue = self._part, self._queue
        out, n_in = tile.shape
        if type(n) is not Numbers or n.shape != _rectangle(tile.shape, column, row):
            queue.run()
            tile.pulse(usual(n), column=column, row=row)
            return
        kernels, counts = tile._ready(), n.contiguous()

        def aside(status: int) -> None:
            self._check(status)
            tile.pulse(counts.at_once(), column=column, row=row)

        queue.hold((kernels, counts.source))
        if column is not None and n_in > 1:
            place = 0, 0, column % n_in
        else:
            place = (0, out, 0) if row is None else (row % out, 1, 0)
        queue.add((function("pulse"), *kernels.pulse_words(*self._counters(_C2C)), counts.address, *place), aside)
        tile.wrote()

    def read(self, column: int | None = None, *, row: int | None = None) -> Any:
        tile, queue = self._part, self._queue
        out, n_in = tile.shape
        io, shape = tile.io["transfer"], _rectangle(tile.shape, column, row)
        if shape is None or io.wires is not None:
            queue.run()
            return tile.read(column, row=row)
        address = tile.w.data_ptr()
        if row is not None:
            return self._read(io, address + 4 * n_in * (row % out), 1, n_in)
        if column is not None:
            return self._read(io, address + 4 * (column % n_in), n_in, out)
        found = Numbers.empty(queue, (n_in, out))
        for j in range(n_in):
            self._read(io, address + 4 * j, n_in, out, found[j])
        return found.mT

    # -- inside

    def _read(self, io: Any, start: int, step: int, n: int, into: Numbers | None = None) -> Numbers:
        """Ask for n numbers from an address on, through the converters."""
        found = Numbers.empty(self._queue, (n,)) if into is None else into
        room, numbers = room_for(1, 1, n), io.numbers[1]
        self._queue.hold((room, numbers))
        memory = room.z.ctypes.data, room.words.ctypes.data
        name = signed(self._part.key), int(STREAM_OF["transfer"])
        converters = numbers.ctypes.data, int(not io.perfect)
        counters = self._counters(_READ)
        place = start, step, n, found.address
        self._queue.add((function("read"), *place, *converters, *name, *counters, *memory))
        return found

    def _counters(self, of: int) -> tuple[int, int]:
        """Return the addresses of the tally, and of the events of a stream."""
        buffers = self._part._buffers
        return buffers["tally"].data_ptr(), buffers["events"].data_ptr() + of

    def _lines(self, x: Any, n: int) -> Numbers | None:
        """Return lines of n numbers one behind the other, or None for what Python has to look at."""
        if type(x) is not Numbers:
            if not isinstance(x, torch.Tensor) or not fits(x):
                return None
            x = Numbers.of(self._queue, x)
        return x.contiguous() if x.shape[-1] == n else None

    def _check(self, status: int) -> None:
        """Raise the MhoError of a law that drove a weight to NaN."""
        if status == _RUNAWAY:
            raise checks.runaway(self._part.cells, self._part.device.response)


class AskedPlane(Usual):
    """A stand-in for a `Plane` on a CPU."""

    @property
    def w(self) -> Numbers:
        return Numbers.of(self._queue, self._part.w)

    def program(self, values: Any, *, column: int | None = None, row: int | None = None) -> None:
        plane, queue = self._part, self._queue
        out, n_in = plane.shape
        if type(values) is not Numbers or values.shape != _rectangle(plane.shape, column, row):
            queue.run()
            plane.program(usual(values), column=column, row=row)
            return
        marks = plane.touched.data_ptr()
        if column is not None:
            self.w[:, column].write(values, marks + out + column % n_in)
        elif row is not None:
            self.w[row].write(values, marks + row % out)
        else:
            values = values.contiguous()
            queue.add((function("program"), plane.w.data_ptr(), values.address, out, n_in, marks))
        plane.wrote()


def stand_in(queue: Queue, part: Any) -> Any:
    """Return the stand-in for a part of a state."""
    if isinstance(part, torch.Tensor):
        return Numbers.of(queue, part) if fits(part) else part
    if type(part) is Tile and part.cells.is_cpu and isinstance(part.pulses, Pulses) and not part._is_noisy:
        return AskedTile(queue, part)
    if type(part) is Plane and part.w.is_cpu:
        return AskedPlane(queue, part)
    return Usual(queue, part)


def _rectangle(shape: tuple[int, int], column: Any, row: Any) -> tuple[int, ...] | None:
    """Return the shape of a line's numbers, or of all; None if there is no such line."""
    out, n_in = shape
    if column is None and row is None:
        return shape
    if row is None and type(column) is int and -n_in <= column < n_in:
        return (out,)
    return (n_in,) if column is None and type(row) is int and -out <= row < out else None
