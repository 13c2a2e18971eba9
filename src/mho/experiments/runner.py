"""Runs cells that have not been run, in this process or in several at a time."""

import functools
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty
from typing import Any

import torch

from mho.base.errors import MhoError, complaint, did_you_mean
from mho.base.provenance import provenance
from mho.experiments.experiment import Experiment, Line, Tick
from mho.experiments.results import asked_for, file_of, kept, lines_of
from mho.training.folder import whole
from mho.training.loop import stop_signals

STORE = Path("runs") / "papers" / "store"
Watch = Callable[[str, int, int], None]


def run_cells(
    experiment: Experiment,
    names: Sequence[str],
    folder: Path,
    seeds: Sequence[int],
    share: float = 1.0,
    watch: Watch = lambda name, done, total: None,
    jobs: int = 1,
    store: Path = STORE,
) -> list[Line]:
    """Runs the cells (a `share` of their steps) with each seed, or takes from the folder those that it holds; all
    cells with the first seed come first. Returns means over the seeds.

    Each finished cell is one JSON file with its settings, seed, versions, seconds and numbers. Cells that are
    trainings keep a checkpoint of each epoch below `store` and go on from it. With `jobs` > 1, that many
    processes run a cell each, on one thread.

    Raises: MhoError for an unknown cell, and for a file that holds other settings or another seed.
    """
    for name in names:
        if name not in experiment.cells:
            where = f"mho papers run {experiment.id} --cells {name}"
            raise complaint(where, "there is no such cell", did_you_mean(name, experiment.cells))
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {(name, seed): asked_for(experiment, name, seed, share) for seed in seeds for name in names}
    left = {key: asked for key, asked in wanted.items() if kept(file_of(folder, *key), asked) is None}
    if jobs == 1:
        for (name, seed), asked in left.items():
            tick = Tick(functools.partial(watch, _title(name, seed)), store)
            finish(experiment, asked, file_of(folder, name, seed), tick)
    else:
        _in_processes(experiment, left, folder, watch, jobs, store)
    lines = []
    for name in names:
        files = [kept(file_of(folder, name, seed), wanted[name, seed]) for seed in seeds]
        lines += lines_of(experiment, name, [file for file in files if file is not None])
    return lines


def finish(experiment: Experiment, asked: Mapping[str, Any], file: Path, tick: Tick) -> None:
    """Runs one cell and writes its file."""
    start = time.monotonic()
    numbers = experiment.run(asked["settings"], asked["seed"], tick)
    found = {**asked, "numbers": numbers, "seconds": round(time.monotonic() - start, 1)}
    if experiment.record is not None:
        found |= experiment.record(asked["settings"], asked["seed"], tick.store)
    with whole(file) as part:
        part.write_text(json.dumps(found | provenance(), indent=1) + "\n", encoding="utf-8")


def _title(name: str, seed: int) -> str:
    return f"{name}, seed {seed}" if seed else name


def _in_processes(
    experiment: Experiment,
    left: Mapping[tuple[str, int], Mapping[str, Any]],
    folder: Path,
    watch: Watch,
    jobs: int,
    store: Path,
) -> None:
    """A process for each cell, `jobs` at a time. An error, Ctrl-C or SIGTERM here stops them with SIGTERM, on which
    a training writes a checkpoint."""
    context = multiprocessing.get_context("spawn")
    news: Any = context.Queue()
    waiting = list(left.items())
    running: dict[str, Any] = {}
    with stop_signals() as stop:
        try:
            while waiting or running:
                if stop:
                    raise KeyboardInterrupt
                while waiting and len(running) < jobs:
                    (name, seed), asked = waiting.pop(0)
                    title, file = _title(name, seed), file_of(folder, name, seed)
                    process = context.Process(
                        target=_work, args=(experiment.id, asked, file, title, store, news)
                    )
                    process.start()
                    running[title] = process
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
    """An error if a process ended without a word, as one that was killed for its memory does."""
    for title, process in running.items():
        if process.exitcode not in (None, 0):
            where = f"mho papers run: {title}"
            raise complaint(where, f"its process ended with exit code {process.exitcode}")


def _work(
    identity: str, asked: Mapping[str, Any], file: Path, title: str, store: Path, news: Any
) -> None:  # pragma: no cover - in a process of its own
    import mho
    from mho.papers import EXPERIMENTS
    from mho.training.loop import Interrupted

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which sends SIGTERM
    torch.set_num_threads(1)
    mho.set_threads(1)
    last = [0.0]

    def tell(done: int, total: int) -> None:
        if time.monotonic() - last[0] > 0.5:
            last[0] = time.monotonic()
            news.put((title, done, total, None))

    try:
        finish(EXPERIMENTS[identity], asked, file, Tick(tell, store))
        news.put((title, 0, 0, None))
    except Interrupted:
        os._exit(0)  # its checkpoint is written, and nobody reads the queue any more
    except MhoError as error:
        news.put((title, 0, 0, str(error)))
