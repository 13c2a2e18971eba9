"""Cells in several processes at a time, on one thread each, that report their progress and can all be stopped."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from queue import Empty
from typing import Any

import torch

from mho.base.errors import MhoError, complaint
from mho.base.signals import Interrupted, stop_signals
from mho.numerics.threads import set_threads

Tell = Callable[[int, int], None]
Watch = Callable[[str, int, int], None]


def in_processes(
    work: Callable[[Any, Tell], None], arguments: Mapping[str, Any], jobs: int, watch: Watch
) -> None:
    """Call `work(argument, tell)` for each {title: argument}, each in a process of its own, `jobs` at a time.

    An error, Ctrl-C or SIGTERM here stops all processes with SIGTERM; a training writes a checkpoint then.

    Args:
        work: a function of a module; it may raise MhoError, and `Interrupted` after a signal.
        arguments: what it gets, by title.
        jobs: the largest number of processes at a time.
        watch: receives (title, done, total).
    Raises: MhoError of a process, or about a process that ended without a word. KeyboardInterrupt after a signal.
    """
    context = multiprocessing.get_context("spawn")
    news: Any = context.Queue()
    waiting, running = list(arguments.items()), dict[str, Any]()
    with stop_signals() as stop:
        try:
            while waiting or running:
                if stop:
                    raise KeyboardInterrupt
                while waiting and len(running) < jobs:
                    title, argument = waiting.pop(0)
                    running[title] = context.Process(target=_child, args=(work, argument, title, news))
                    running[title].start()
                try:
                    title, done, total, problem = news.get(timeout=0.5)
                except Empty:
                    _look_for_the_dead(running)
                    continue
                if problem is not None:
                    raise MhoError(problem)
                if total:
                    watch(title, done, total)
                else:
                    running.pop(title).join()
                    watch(title, 1, 1)
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.join()


def _look_for_the_dead(running: Mapping[str, Any]) -> None:
    """Raise an error if a process ended without a word, as one that was killed for its memory does."""
    for title, process in running.items():
        if process.exitcode not in (None, 0):
            raise complaint(title, f"its process ended with exit code {process.exitcode}")


def _child(
    work: Callable[[Any, Tell], None], argument: Any, title: str, news: Any
) -> None:  # pragma: no cover - in a process of its own
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which sends SIGTERM
    torch.set_num_threads(1)
    set_threads(1)
    last = [0.0]

    def tell(done: int, total: int) -> None:
        if time.monotonic() - last[0] > 0.5:
            last[0] = time.monotonic()
            news.put((title, done, total, None))

    try:
        work(argument, tell)
        news.put((title, 0, 0, None))
    except Interrupted:
        os._exit(0)  # its checkpoint is written, and nobody reads the queue any more
    except MhoError as error:
        news.put((title, 0, 0, str(error)))
