"""A small pool that runs one kernel over blocks of rows. Kernels release the GIL and never share a row.

Numba's own `parallel=True` is not used: its OpenMP layer kills forked children, its workqueue layer aborts
when called from two threads.

An interrupt, such as Ctrl-C, may strike a call at any point. Each call has an outbox of its own, so no call gets
the answer of another. The caller leaves only when no worker runs a block any more, since kernels hold addresses
of memory that the caller owns.
"""

import itertools
import operator
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

from mho.base.errors import complaint, shown

_lock = threading.RLock()  # a signal's handler may call, in the thread that holds it
_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_torch_threads: int | None = None
_inboxes: list[SimpleQueue] = []  # one a worker
_unfinished = False  # blocks may still run: of a call in progress, or of one left without the wait for them


def _serve(inbox: SimpleQueue) -> None:
    while True:
        _answer(*inbox.get())  # whose arguments die with it: a worker that waits holds no memory of a call


def _answer(outbox: SimpleQueue, part: int, kernel: Callable, rows: tuple[int, int]) -> None:
    try:
        outbox.put((part, kernel(rows), None))
    except BaseException as failure:  # handed to the caller, who raises it
        outbox.put((part, None, failure))


def _finish() -> None:
    """Wait until no worker has anything to do; the last of the interrupts meanwhile is raised afterwards."""
    interrupt = None
    while True:
        try:
            for inbox in _inboxes:
                outbox: SimpleQueue = SimpleQueue()
                inbox.put((outbox, 0, _nothing, (0, 0)))
                outbox.get()
            break
        except BaseException as later:
            interrupt = later
    if interrupt is not None:
        raise interrupt


def _nothing(rows: tuple[int, int]) -> None:
    """Stand for a kernel: a worker that has run it has run all that it was given before."""


def set_threads(n: int) -> None:
    """Set the number of threads that mho's own kernels use, 1 to 1024; results do not depend on it."""
    global _threads
    if not (isinstance(n, int) and n >= 1):
        raise complaint(f"set_threads({n!r})", "the number of threads must be an integer of at least 1")
    if n > 1024:
        raise complaint(f"set_threads({shown(n)})", "the number of threads must be at most 1024")
    _threads = n


def get_threads() -> int:
    """Return the number of threads that mho's own kernels use."""
    return _threads


def deterministic(on: bool = True) -> None:
    """Pin torch to one thread (or free it), so that a whole training run is bit-identical.

    Updates, reads and programming never depend on the number of threads. Torch's own products and sums do:
    with one torch thread a run gives the same bits for any number of mho's threads, on the same kind of
    processor and the same versions of the libraries.
    """
    import torch

    global _torch_threads
    if on and _torch_threads is None:
        _torch_threads = torch.get_num_threads()
        torch.set_num_threads(1)
    elif not on and _torch_threads is not None:
        torch.set_num_threads(_torch_threads)
        _torch_threads = None


def over_rows(kernel: Callable[[tuple[int, int]], object], n_rows: int, worth_it: bool) -> list:
    """Return [kernel((first, last)) for blocks of rows], on all threads if `worth_it`, else on one."""
    global _unfinished
    parts = min(_threads, n_rows) if worth_it else 1
    if parts <= 1:
        return [kernel((0, n_rows))]
    cuts = [n_rows * part // parts for part in range(parts + 1)]
    blocks = list(itertools.pairwise(cuts))
    with _lock:
        if _unfinished:
            _finish()
        while len(_inboxes) < parts - 1:
            inbox: SimpleQueue = SimpleQueue()
            threading.Thread(target=_serve, args=(inbox,), daemon=True, name="mho").start()
            _inboxes.append(inbox)
        outbox: SimpleQueue = SimpleQueue()
        _unfinished = True
        try:
            for part in range(1, parts):
                _inboxes[part - 1].put((outbox, part, kernel, blocks[part]))
            answers = [(0, kernel(blocks[0]), None), *(outbox.get() for _ in range(1, parts))]
        except BaseException:
            _finish()
            _unfinished = False
            raise
        _unfinished = False
    answers.sort(key=_part)
    for _, _, failure in answers:
        if failure is not None:
            raise failure
    return [result for _, result, _ in answers]


_part = operator.itemgetter(0)


def _after_fork() -> None:
    """Start anew in a child, which has the thread that forked alone."""
    global _lock, _unfinished
    _inboxes.clear()
    _lock, _unfinished = threading.RLock(), False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
