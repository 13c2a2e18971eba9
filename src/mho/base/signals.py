"""Signals that stop a long computation after its present step, so that it can save its state."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["Interrupted", "stop_signals", "uninterrupted"]


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off until the block has ended, such as an import that cannot be made twice."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is None:
        yield  # Python handles signals in the main thread only
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if came:
            signal.raise_signal(signal.SIGINT)


class Interrupted(Exception):
    """A signal stopped a training after a batch; `folder` holds a checkpoint of that moment.

    Args:
        folder: the folder of the run; number: the number of the signal.
    """

    def __init__(self, folder: os.PathLike[str], number: int) -> None:
        go_on = f"`train(folder={str(folder)!r}, resume=True)` goes on"
        super().__init__(f"stopped by {signal.Signals(number).name}; {go_on}")
        self.folder, self.number = folder, number


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Yield a list that gets the number of the first SIGINT or SIGTERM; the second signal acts as usual."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # Python handles signals there only
        yield caught
        return
    usual: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: Any) -> None:
        caught.append(number)
        signal.signal(number, usual[number])

    for number in usual:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
