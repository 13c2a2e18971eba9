"""A small pool that runs one kernel over blocks of rows. Kernels release the GIL and never share a row.

Numba's own `parallel=True` is not used: its OpenMP layer kills forked children, its workqueue layer aborts
when called from two threads.
"""

import itertools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

from mho.base.errors import complaint

_lock = threading.Lock()
_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_torch_threads: int | None = None
_workers: list["_Worker"] = []


class _Worker:
    """One daemon thread with an inbox; `submit` then `result`, strictly in turn."""

    def __init__(self) -> None:
        self.inbox: SimpleQueue = SimpleQueue()
        self.outbox: SimpleQueue = SimpleQueue()
        threading.Thread(target=self._serve, daemon=True, name="mho").start()

    def _serve(self) -> None:
        while True:
            kernel, rows = self.inbox.get()
            try:
                self.outbox.put((kernel(rows), None))
            except BaseException as failure:  # handed to the caller, who raises it
                self.outbox.put((None, failure))


def set_threads(n: int) -> None:
    """Set the number of threads that mho's own kernels use, >= 1; results do not depend on it."""
    global _threads
    if not (isinstance(n, int) and n >= 1):
        raise complaint(f"set_threads({n!r})", "the number of threads must be an integer of at least 1")
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
    parts = min(_threads, n_rows) if worth_it else 1
    if parts <= 1:
        return [kernel((0, n_rows))]
    cuts = [n_rows * part // parts for part in range(parts + 1)]
    blocks = list(itertools.pairwise(cuts))
    with _lock:
        while len(_workers) < parts - 1:
            _workers.append(_Worker())
        for worker, block in zip(_workers, blocks[1:], strict=False):
            worker.inbox.put((kernel, block))
        failure = None
        try:
            results = [kernel(blocks[0])]
        except BaseException as mine:
            failure = mine
        for worker, _ in zip(_workers, blocks[1:], strict=False):
            result, theirs = worker.outbox.get()
            failure = failure or theirs
            if failure is None:
                results.append(result)
        if failure is not None:
            raise failure
    return results


def _after_fork() -> None:
    global _lock
    _workers.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
