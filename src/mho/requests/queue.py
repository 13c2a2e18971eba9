"""The requests of a step in the order in which they were asked for, and the call that carries them out."""

import functools
import struct
import threading
from array import array
from collections.abc import Callable
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

from mho.base.signals import uninterrupted
from mho.numerics.native import address_of

Words = tuple[int, ...]
_FLOATS = 1 << 16
"""Numbers of the first room for intermediate results."""


@functools.lru_cache(maxsize=4096)
def bits(value: float) -> int:
    """Return the bits of a float64 as a signed integer."""
    return struct.unpack("q", struct.pack("d", value))[0]


@functools.cache
def kernels() -> ModuleType:
    """Load Numba with the first step, not with `import mho`."""
    with uninterrupted():
        import mho.kernels.cpu.requests

    return mho.kernels.cpu.requests


@functools.cache
def function(name: str) -> int:
    """Return the address of a function of `mho.kernels.cpu.requests`."""
    return address_of(getattr(kernels(), name), 1)


@functools.cache
def arithmetic() -> int:
    """Return the address of `mho.kernels.cpu.arithmetic.arithmetic`."""
    with uninterrupted():
        from mho.kernels.cpu.arithmetic import arithmetic

    return address_of(arithmetic, 1)


class Queue(threading.local):
    """The requests of the step that runs in this thread.

    Whoever adds one says how Python carries it out, or raises, where the compiled function leaves it aside.
    """

    def __init__(self) -> None:
        self._words = array("q")
        self._aside: dict[int, Callable[[int], None]] = {}
        self._held: list[Any] = []
        self._room = torch.empty(_FLOATS, dtype=torch.float32)
        self._start, self._used = self._room.data_ptr(), 0

    def add(self, words: Words, aside: Callable[[int], None] | None = None) -> None:
        """Add a request, whose words begin with its function.

        Args:
            words: function, status and arguments; see `mho.kernels.cpu.requests`.
            aside: carries it out if the status, which it gets, says so, or raises.
        """
        own = self._words
        if aside is not None:
            self._aside[len(own)] = aside
        own.append(words[0])
        own.append(len(words) + 2)
        own.append(0)
        own.extend(words[1:])

    def hold(self, memory: Any) -> None:
        """Keep an object, whose memory the requests name, until they are carried out."""
        self._held.append(memory)

    def room(self, n: int) -> tuple[torch.Tensor, int]:
        """Return memory that has room for n float32 until the requests are carried out, and the address there."""
        if self._used + n > len(self._room):
            self._held.append(self._room)
            self._room = torch.empty(max(2 * len(self._room), n), dtype=torch.float32)
            self._start, self._used = self._room.data_ptr(), 0
        address = self._start + 4 * self._used
        self._used += n
        return self._room, address

    def run(self) -> None:
        """Carry out all requests. Raises: MhoError of the first that cannot be; those after it are forgotten."""
        words = self._words
        if not words:
            return
        address, n = words.buffer_info()
        run, at = kernels().run, 0
        try:
            while (at := run(address, at, n)) < n:
                self._aside[at](words[at + 2])
                at += words[at + 1]
        finally:
            self._words = array("q")
            self._aside.clear()

    def end(self) -> None:
        """Carry out all requests, and let go of the memory that they name."""
        try:
            self.run()
        finally:
            self._held.clear()
            self._used = 0


queue = Queue()


@contextmanager
def collected():
    """Collect requests, and carry them out at the end, also those before an error."""
    try:
        yield queue
    finally:
        queue.end()
