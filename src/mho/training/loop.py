"""Trains one network from its specification to its run folder; it can be stopped and resumed at any batch."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, Protocol

import torch

import mho
from mho.base.errors import complaint
from mho.base.provenance import provenance
from mho.base.registry import kebab
from mho.data import load
from mho.training.folder import RunFolder
from mho.training.session import Row, Session
from mho.training.spec import RunSpec


class Watch(Protocol):
    """What is told about a run's progress."""

    def batch(self, session: Session) -> None: ...
    def epoch(self, session: Session, row: Row) -> None: ...
    def close(self) -> None: ...


class Interrupted(Exception):
    """A signal stopped the run after a batch; `folder` holds a checkpoint of that moment."""

    def __init__(self, folder: os.PathLike[str], number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; `--resume --out {folder}` goes on")
        self.folder, self.number = folder, number


def train(
    spec: RunSpec,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    watch: Watch | None = None,
    checkpoint_every: int = 1,
    where: str = "cpu",
) -> dict[str, Any]:
    """Trains a network and returns what it also writes to `folder`/result.json.

    Args:
        spec: the run.
        folder: its folder; a new one, or that of the same run with `resume`.
        resume: go on from the folder's checkpoint; a finished run returns its result at once.
        watch: told about each batch and epoch.
        checkpoint_every: epochs between two checkpoints; one is also written on SIGINT and SIGTERM.
        where: "cpu", or "cuda" for a GPU; a run may go on elsewhere, with sums in another order.

    Raises `MhoError` for missing data, a GPU that is not there, a folder that holds another run and a loss that is
    not finite, and `Interrupted` after a signal.
    """
    if where not in ("cpu", "cuda") or (where == "cuda" and not torch.cuda.is_available()):
        what = "it is neither cpu nor cuda" if where not in ("cpu", "cuda") else "torch finds no CUDA GPU"
        raise complaint(f"--where {where}", what, fix="leave it out: the CPU trains too")
    files = RunFolder(folder)
    session = Session(spec, load(spec.data, spec.data_dir), where)
    files.start(spec, resume)
    done = files.result()
    if done is not None and done["epochs"] == spec.epochs:
        return done
    if resume and (state := files.checkpoint()) is not None:
        session.load_state_dict(state)
    if session.epoch > spec.epochs:
        raise complaint(
            f"--epochs {spec.epochs}", f"the run in {folder} has {session.epoch} epochs behind it"
        )
    with stop_signals() as stop, _threads(spec), contextlib.ExitStack() as closing:
        if watch is not None:
            closing.callback(watch.close)
        while session.epoch < spec.epochs:
            while session.batch < session.batches:
                session.step()
                if watch is not None:
                    watch.batch(session)
                if stop:
                    _save(files, session)
                    raise Interrupted(files.path, stop[0])
            row = session.end_epoch()
            if session.epoch % checkpoint_every == 0 or session.epoch == spec.epochs:
                _save(files, session)
            if watch is not None:
                watch.epoch(session, row)
        result = _finish(files, session)
        if stop:  # it came after the last batch; a series of runs must not go on
            raise Interrupted(files.path, stop[0])
        return result


@contextlib.contextmanager
def _threads(spec: RunSpec) -> Iterator[None]:
    """The run's threads, and afterwards those of before."""
    torch_threads, own_threads = torch.get_num_threads(), mho.get_threads()
    if spec.threads:
        torch.set_num_threads(spec.threads)
        mho.set_threads(spec.threads)
    if spec.deterministic:
        mho.deterministic(True)
    try:
        yield
    finally:
        if spec.deterministic:
            mho.deterministic(False)
        torch.set_num_threads(torch_threads)
        mho.set_threads(own_threads)


def _save(files: RunFolder, session: Session) -> None:
    files.save(session.state_dict())
    if session.rows:
        files.write_csv("metrics.csv", session.rows)


def _finish(files: RunFolder, session: Session) -> dict[str, Any]:
    from mho.figures import curves  # matplotlib takes a second to import

    spec, last = session.spec, session.rows[-1]
    best = max(session.rows, key=lambda row: row["test_accuracy"])
    arrays = session.arrays()
    lines = sum(counts["lines"] for counts in arrays.values())
    clipped = sum(counts["clipped"] for counts in arrays.values())
    result = {
        "algorithm": algorithm_name(spec),
        "data": spec.data,
        "seed": spec.seed,
        "epochs": spec.epochs,
        "test_accuracy": last["test_accuracy"],
        "test_loss": last["test_loss"],
        "train_accuracy": last["train_accuracy"],
        "train_loss": last["train_loss"],
        "best_test_accuracy": best["test_accuracy"],
        "best_epoch": best["epoch"],
        "arrays": arrays,
        "clipped_fraction": clipped / lines if lines else None,
        "saturated_cells": sum(counts["saturated"] for counts in arrays.values()),
        "seconds": round(sum(row["seconds"] for row in session.rows), 3),
        "where": "cpu" if session.where == "cpu" else torch.cuda.get_device_name(),
    } | provenance()
    curves.save(
        curves.curves(session.rows, f"{result['algorithm']}, {spec.data}, seed {spec.seed}"),
        files.path / "curves",
    )
    files.write_json("result.json", result)
    return result


def algorithm_name(spec: RunSpec) -> str:
    """`digital`, or the algorithm's name as the command line spells it."""
    return "digital" if spec.hardware is None else kebab(type(spec.hardware.algorithm).__name__)


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that gets the number of the first SIGINT or SIGTERM; the second one acts as usual."""
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
