"""Stand-ins for arrays: the verbs of a `Tile` and of a `Plane`, written down as requests."""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from mho.numerics.rng import Stream, signed
from mho.requests.numbers import Numbers
from mho.requests.queue import Moves, Queue, X
from mho.requests.shapes import bits, from_bits
from mho.requests.trace import Index, Rate, StandIn, Unit
from mho.requests.usual import fits, unit, usual
from mho.tile.events import STREAM_OF
from mho.tile.patches import Patches
from mho.tile.scratch import room_for

_KNOWN = frozenset({"shape", "key", "granularity", "device", "io", "pulses", "training"})
"""Attributes of an array that no request changes."""
_MOST = 3.4e38  # of a rate
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


class AskedPatches(Patches, StandIn):
    """A stand-in for the patches of a convolution's images.

    Args:
        number: of the patches among the objects of the queue; chopped_by: (in,) that they are multiplied with.
    """

    def __init__(self, queue: Queue, number: int, chopped_by: Numbers | None = None) -> None:
        self.queue, self.number, self.chopped_by = queue, number, chopped_by

    def __mul__(self, signs: Any) -> Any:
        if type(signs) is not Numbers or self.chopped_by is not None:
            return self.usual() * usual(signs)
        return AskedPatches(self.queue, self.number, signs)

    def usual(self) -> Any:
        """Return the patches."""
        self.queue.run()
        patches = self.queue.objects[self.number]
        return patches if self.chopped_by is None else patches * self.chopped_by.at_once()

    def pairs(self, d: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield from self.usual().pairs(usual(d))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.queue.objects[self.number], name)


class AskedTile(Usual):
    """A stand-in for a `Tile` on a CPU whose updates are pulses."""

    @property
    def w(self) -> Numbers:
        w = self._part.w
        self._note((_is_there, self._part, w.data_ptr()))
        return Numbers.of(self._queue, w)

    def update(self, x: Any, d: Any, lr: Any) -> None:
        tile, queue = self._part, self._queue
        lr, of_lr = (lr.value, ((lr.variable, 1),)) if type(lr) is Rate else (lr, ())
        if type(x) is AskedPatches and type(d) is Numbers and type(lr) is float:
            self._update_by_patches(x, d.contiguous(), lr, of_lr)
            return
        out, n_in = tile.shape
        inputs, errors = self._lines(x, n_in), self._lines(d, out)
        kernels, words, samples = tile.kernels(), None, 0
        there = inputs is not None and errors is not None and inputs.shape[:-1] == errors.shape[:-1]
        if there and type(lr) is float and abs(lr) < _MOST:
            samples = errors.shape[0] if len(errors.shape) == 2 else 1  # type: ignore[union-attr]
            words = kernels.update_words(samples, tile.pulses, *counters(tile, _C2C))
        if words is None or inputs is None or errors is None:
            queue.run()
            tile.update(usual(x), usual(d), lr)
            return
        is_checked = int(inputs.is_finite and errors.is_finite)
        queue.hold((kernels, inputs.source, errors.source))
        rest = is_checked, inputs.address, errors.address, samples, bits(lr)
        moving = [(n, part.moves) for n, part in ((16, inputs), (17, errors))]
        moving.append((19, of_lr))
        queue.add((queue.compiled.update, 20, 0, *words, *rest), self._update_aside, moving)
        tile.wrote()
        self._note((_has_words, tile, kernels, words, samples, tile.pulses), tile)

    def _update_by_patches(self, x: "AskedPatches", d: Numbers, lr: float, of_lr: Moves) -> None:
        """Ask for an update that Python carries out, part by part."""
        queue, signs = self._queue, 0
        of_signs: Moves = ()
        if x.chopped_by is not None:
            part = x.chopped_by.contiguous()
            signs, of_signs = part.address, part.moves
            queue.hold(part.source)
        words = x.number, signs, d.address, bits(lr)
        moving: list[tuple[int, Moves]] = [(3, ((X, 1),)), (4, of_signs), (5, d.moves), (6, of_lr)]
        queue.hold(d.source)
        queue.add((queue.compiled.leave, 7, 0, *words), self._patches_aside, moving)
        self._note((_is_there, self._part, self._part.w.data_ptr()), self._part)

    def _patches_aside(self, arguments: Sequence[int]) -> None:
        """Update by patches with the arguments of a request."""
        x = self._queue.objects[arguments[1]]
        out, n_in = self._part.shape
        if arguments[2]:
            x = x * floats_in(arguments[2], 1, n_in)[0]
        self._part.update(x, floats_in(arguments[3], len(x), out), from_bits(arguments[4]))

    def _update_aside(self, arguments: Sequence[int]) -> None:
        """Update with the arguments of a request."""
        self._check(arguments[0])
        x, d, samples, lr = arguments[14:]
        out, n_in = self._part.shape
        self._part.update(floats_in(x, samples, n_in), floats_in(d, samples, out), from_bits(lr))

    def pulse(self, n: Any, *, column: Any = None, row: Any = None) -> None:
        tile, queue = self._part, self._queue
        out, n_in = tile.shape
        line = Line.of(tile.shape, column, row)
        if type(n) is not Numbers or line is None or n.shape != line.shape:
            queue.run()
            tile.pulse(usual(n), column=column, row=row)
            return
        kernels, counts = tile.kernels(), n.contiguous()
        queue.hold((kernels, counts.source))
        if column is not None and n_in > 1:
            place, moving = (0, 0, line.number), [(18, line.moves(1))]
        elif row is not None:
            place, moving = (line.number, 1, 0), [(16, line.moves(1))]
        else:
            place, moving = (0, out, 0), []
        words = kernels.pulse_words(*counters(tile, _C2C))
        moving.append((15, counts.moves))
        queue.add((queue.compiled.pulse, 19, 0, *words, counts.address, *place), self._pulse_aside, moving)
        tile.wrote()
        self._note((_has_pulse_words, tile, kernels, words), tile)

    def _pulse_aside(self, arguments: Sequence[int]) -> None:
        """Send pulses with the arguments of a request."""
        self._check(arguments[0])
        n, first, rows, column = arguments[13:]
        out, n_in = self._part.shape
        if rows == 0:
            self._part.pulse(floats_in(n, 1, out)[0], column=column)
        else:
            counts, whole = floats_in(n, rows, n_in), rows == out
            self._part.pulse(counts if whole else counts[0], row=None if whole else first)

    def read(self, column: Any = None, *, row: Any = None) -> Any:
        tile, queue = self._part, self._queue
        out, n_in = tile.shape
        io, line = tile.io["transfer"], Line.of(tile.shape, column, row)
        if line is None or io.wires is not None:
            queue.run()
            return tile.read(column, row=row)
        address = tile.w.data_ptr()
        self._note((_is_there, tile, address), None)
        if row is not None:
            return self._read(io, address + 4 * n_in * line.number, 1, n_in, line.moves(4 * n_in))
        if column is not None:
            return self._read(io, address + 4 * line.number, n_in, out, line.moves(4))
        found = Numbers.empty(queue, (n_in, out))
        for j in range(n_in):
            self._read(io, address + 4 * j, n_in, out, (), found[j])
        return found.mT

    # -- inside

    def _read(
        self, io: Any, start: int, step: int, n: int, moves: Moves, into: Numbers | None = None
    ) -> Numbers:
        """Ask for n numbers from an address on, through the converters."""
        found = Numbers.empty(self._queue, (n,)) if into is None else into
        room, numbers = room_for(1, 1, n), io.numbers[1]
        self._queue.hold((room, numbers))
        memory = room.z.ctypes.data, room.words.ctypes.data
        name = signed(self._part.key), int(STREAM_OF["transfer"])
        converters = numbers.ctypes.data, int(not io.perfect)
        place = start, step, n, found.address
        words = *place, *converters, *name, *counters(self._part, _READ), *memory
        self._queue.add((self._queue.compiled.read, 15, 0, *words), None, [(3, moves), (6, found.moves)])
        self._note((_has_room, self._part, io, n, room), None)
        return found

    def _lines(self, x: Any, n: int) -> Numbers | None:
        """Return lines of n numbers one behind the other, or None for what Python has to look at."""
        if type(x) is Unit:
            vector, moves = unit(x, x.j.value), ((x.j.variable, -4),)
            x = Numbers.of(self._queue, vector, is_finite=True, moves=moves)
        elif type(x) is not Numbers:
            if not isinstance(x, torch.Tensor) or not fits(x):
                return None
            self._queue.once()
            x = Numbers.of(self._queue, x)
        return x.contiguous() if x.shape[-1] == n else None

    def _note(self, guard: tuple[Any, ...], written: Any = None) -> None:
        """Note what has to hold if the request is to be asked for again, and which array it writes to."""
        trace = self._queue.trace
        if trace is not None:
            trace.guards.append(guard)
            if written is not None:
                trace.written.append(written)

    def _check(self, status: int) -> None:
        """Raise the MhoError of a law that drove a weight to NaN."""
        if status == _RUNAWAY:
            raise self._part.runaway()


class AskedPlane(Usual):
    """A stand-in for a `Plane` on a CPU."""

    @property
    def w(self) -> Numbers:
        return Numbers.of(self._queue, self._part.w)

    def program(self, values: Any, *, column: Any = None, row: Any = None) -> None:
        plane, queue = self._part, self._queue
        out, n_in = plane.shape
        line = Line.of(plane.shape, column, row)
        if type(values) is not Numbers or line is None or values.shape != line.shape:
            queue.run()
            plane.program(usual(values), column=column, row=row)
            return
        marks = plane.touched.data_ptr()
        if column is not None:
            self.w[:, column].write(values, marks + out + line.number, line.moves(1))
        elif row is not None:
            self.w[row].write(values, marks + line.number, line.moves(1))
        else:
            values = values.contiguous()
            words = plane.w.data_ptr(), values.address, out, n_in, marks
            queue.add((queue.compiled.program, 8, 0, *words), None, [(4, values.moves)])
        plane.wrote()
        if queue.trace is not None:
            queue.trace.written.append(plane)
            queue.trace.guards.append((_is_there, plane, plane.w.data_ptr()))


def stand_in(queue: Queue, part: Any) -> Any:
    """Return the stand-in for a part of a state."""
    if isinstance(part, torch.Tensor):
        return Numbers.of(queue, part) if fits(part) else part
    kind = {"pulsed": AskedTile, "programmed": AskedPlane}.get(getattr(part, "asked_as", ""), Usual)
    return kind(queue, part)


class Line(NamedTuple):
    """The line of an array that a verb is given, or all of it."""

    shape: tuple[int, ...]  # of its numbers
    number: int
    variable: int | None  # of the step that it is

    @staticmethod
    def of(shape: tuple[int, int], column: Any, row: Any) -> "Line | None":
        """Return the line of an array (out, in); None if there is no such line."""
        if column is None and row is None:
            return Line(shape, 0, None)
        if column is not None and row is not None:
            return None
        variable: int | None = None
        place: Any = row if column is None else column
        lines, rest = shape if column is None else shape[::-1]
        if isinstance(place, Index):
            place, variable = place.value, place.variable
        if type(place) is not int or not -lines <= place < lines:
            return None
        return Line((rest,), place % lines, variable)

    def moves(self, change: int) -> Moves:
        """Return how something moves that is `change` further for the next line."""
        return () if self.variable is None else ((self.variable, change),)


def counters(tile: Any, events: int) -> tuple[int, int]:
    """Return the addresses of a tile's tally, and of the events of a stream, which begin at a byte."""
    buffers: Any = tile._buffers
    return buffers["tally"].data_ptr(), buffers["events"].data_ptr() + events


def floats_in(address: int, rows: int, columns: int) -> torch.Tensor:
    """Return a copy of the float32 at an address as a matrix."""
    numbers = (ctypes.c_float * (rows * columns)).from_address(address)
    return torch.from_numpy(np.ctypeslib.as_array(numbers).reshape(rows, columns).copy())


# What has to hold if requests are to be asked for again: that the words name what they named.


def _is_there(part: Any, address: int) -> bool:
    return part.w.data_ptr() == address


def _has_words(tile: Any, kernels: Any, words: tuple, samples: int, pulses: Any) -> bool:
    return (
        tile.pulses is pulses
        and tile.kernels() is kernels
        and kernels.update_words(samples, pulses, *counters(tile, _C2C)) is words
    )


def _has_pulse_words(tile: Any, kernels: Any, words: tuple) -> bool:
    return tile.kernels() is kernels and kernels.pulse_words(*counters(tile, _C2C)) is words


def _has_room(tile: Any, io: Any, n: int, room: Any) -> bool:
    return tile.io["transfer"] is io and room_for(1, 1, n) is room
