"""The compiled functions of requests, each loaded where it is first asked for, and the queue of a thread."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mho.base.signals import uninterrupted
from mho.requests.queue import Queue


class Compiled:
    """The functions of `mho.kernels.cpu.requests` by name: `run`, and the addresses of the others."""

    @functools.cached_property
    def run(self) -> Any:
        with uninterrupted():
            from mho.kernels.cpu.requests import run
        return run

    @functools.cached_property
    def arithmetic(self) -> int:
        with uninterrupted():
            from mho.kernels.cpu.arithmetic import arithmetic
            from mho.numerics.native import address_of
        return address_of(arithmetic, 1)

    def __getattr__(self, name: str) -> int:
        if name.startswith("_"):
            raise AttributeError(name)
        with uninterrupted():
            import mho.kernels.cpu.requests as functions
            from mho.numerics.native import address_of
        self.__dict__[name] = address = address_of(getattr(functions, name), 1)
        return address


_queue, _compiled = Queue(), Compiled()


@contextmanager
def collected() -> Iterator[Queue]:
    """Collect the requests of this thread, and carry them out at the end, also those before an error."""
    _queue.compiled = _compiled
    try:
        yield _queue
    finally:
        _queue.end()
