"""The requests of a step in the order in which they were asked for, and the call that carries them out."""

import threading
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import torch

Words = tuple[int, ...]
Moves = tuple[tuple[int, int], ...]
"""(number of a variable of the step, change by one of it), ..."""
Aside = Callable[[Sequence[int]], None]
"""Carries out a request that the compiled function left aside, or raises; it gets the status and the arguments."""
X, D, ROOM = range(3)
"""The first variables of a step: addresses of its inputs and errors, and of room; then come lines and rates."""
_OF_ROOM: Moves = ((ROOM, 1),)
_FLOATS = 1 << 16
"""Numbers of the first room for intermediate results."""


class Queue(threading.local):
    """The requests of the step that runs in this thread.

    Whoever adds one says how Python carries it out, or raises, where the compiled function leaves it aside.
    """

    def __init__(self) -> None:
        self.compiled: Any = None  # see `mho.requests.compiled`
        self.words = array("q")
        self.asides: dict[int, Aside] = {}  # by the place of the request
        self.trace: Any = None  # takes notes of the step that is being written down
        self.objects: list[Any] = []  # that requests name by their place here
        self._held: list[Any] = []
        self._room = torch.empty(_FLOATS, dtype=torch.float32)
        self._start, self._used = self._room.data_ptr(), 0

    def add(self, words: Words, aside: Aside | None = None, moving: Sequence[tuple[int, Moves]] = ()) -> None:
        """Add a request.

        Args:
            words: function, number of words, 0 and the arguments, see `mho.kernels.cpu.requests`.
            aside: what happens to it if the function leaves it aside.
            moving: (place among the words, how it moves) of addresses that are others in another step.
        """
        place = len(self.words)
        if aside is not None:
            self.asides[place] = aside
        self.words.extend(words)
        if self.trace is not None:
            for n, moves in moving:
                for variable, change in moves:
                    self.trace.moving.append((place + n, variable, change))

    def once(self) -> None:
        """Note that the step depends on more than its decisions, and cannot be asked for again."""
        if self.trace is not None:
            self.trace.repeats = False

    def hold(self, memory: Any) -> None:
        """Keep an object, whose memory the requests name, until they are carried out."""
        self._held.append(memory)

    def room(self, n: int) -> tuple[torch.Tensor, int, Moves]:
        """Return memory with room for n float32 until the requests are carried out, its address, and its moves."""
        address = self.reserve(n)
        return self._room, address, _OF_ROOM if self.trace is not None else ()

    def reserve(self, n: int) -> int:
        """Return the address of room for n float32."""
        if self._used + n > len(self._room):
            self.once()
            self._held.append(self._room)
            self._room = torch.empty(max(2 * len(self._room), n), dtype=torch.float32)
            self._start, self._used = self._room.data_ptr(), 0
        address = self._start + 4 * self._used
        self._used += n
        return address

    def run(self) -> None:
        """Carry out all requests. Raises: MhoError of the first that cannot be; those after it are forgotten."""
        words = self.words
        if self.trace is not None:
            self.trace.repeats, self.trace.falls = False, True
        if not words:
            return
        address, n = words.buffer_info()
        run, at = self.compiled.run, 0
        try:
            while (at := run(address, at, n)) < n:
                end = at + words[at + 1]
                self.asides[at](words[at + 2 : end])
                at = end
        finally:
            self.words = array("q")
            self.asides = {}

    def end(self) -> None:
        """Carry out all requests, and let go of the memory that they name."""
        try:
            self.run()
        finally:
            self._held.clear()
            self.objects.clear()
            self._used = 0
