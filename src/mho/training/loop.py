"""The loop of a run, from its specification to its folder, which can be stopped and resumed at any batch."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Protocol

import torch

from mho.base.errors import MhoError, complaint
from mho.base.provenance import provenance
from mho.base.signals import Interrupted, stop_signals
from mho.data.dataset import load
from mho.numerics.threads import deterministic, get_threads, set_threads
from mho.training.folder import CHECKPOINT, METRICS, RESULT, RunFolder
from mho.training.label import label
from mho.training.session import Row, Session
from mho.training.spec import RunSpec, algorithm_name


class Watch(Protocol):
    """A listener to a run: called after each batch, after each epoch, and at the end."""

    def batch(self, session: Session) -> None: ...
    def epoch(self, session: Session, row: Row) -> None: ...
    def close(self) -> None: ...


def train(
    spec: RunSpec,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    watch: Watch | None = None,
    checkpoint_every: int = 1,
    where: str = "cpu",
    wait: bool = False,
) -> dict[str, Any]:
    """Train a network and return the result that is also written to `folder`/result.json.

    Args:
        spec: the run.
        folder: a new folder, or the one of the same run with `resume`.
        resume: go on from the folder's checkpoint, if there is one; a finished run returns its result at once.
        watch: a listener, called after each batch and epoch.
        checkpoint_every: epochs between two checkpoints; one is also written on SIGINT and SIGTERM.
        where: "cpu", or "cuda" for a GPU; a run may go on elsewhere, with sums in another order.
        wait: wait for another process that trains in the folder.

    Raises:
        MhoError: data are missing, there is no GPU, the folder holds another run or cannot be written, another
            process trains in it, a file in it is damaged, or the loss is not finite.
        Interrupted: a signal came.
    """
    if where not in ("cpu", "cuda") or (where == "cuda" and not torch.cuda.is_available()):
        wrong = "it is neither cpu nor cuda" if where not in ("cpu", "cuda") else "torch finds no CUDA GPU"
        raise complaint(f"train(where={where!r})", wrong, fix="leave it out: the CPU trains too")
    files = RunFolder(folder)
    session = Session(spec, load(spec.data, spec.data_dir), where)
    with files.held(wait):
        files.check(spec, resume)
        done = files.result()
        if done is not None and done["epochs"] == spec.epochs and not _lacks_rows(files, spec.epochs):
            return done
        if (state := files.checkpoint()) is not None:
            session.load_state_dict(state, str(files.path / CHECKPOINT))
        if session.epoch > spec.epochs:
            wrong = f"the run in {folder} has {session.epoch} epochs behind it"
            raise complaint(f"RunSpec(epochs={spec.epochs})", wrong)
        files.start(spec)
        if session.rows:  # a kill may have come after the checkpoint and before this file
            files.write_csv(METRICS, session.rows)
        return _run(files, session, watch, checkpoint_every)


def _lacks_rows(files: RunFolder, epochs: int) -> bool:
    """Return whether metrics.csv has to be written again, and can be."""
    if not (files.path / CHECKPOINT).exists():
        return False
    try:
        return len(files.rows()) != epochs
    except MhoError:
        return True


def _run(files: RunFolder, session: Session, watch: Watch | None, checkpoint_every: int) -> dict[str, Any]:
    """Train to the last epoch and return the result."""
    spec = session.spec
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
    """Use the run's threads inside the block, and the earlier ones afterwards."""
    torch_threads, own_threads = torch.get_num_threads(), get_threads()
    if spec.threads:
        torch.set_num_threads(spec.threads)
        set_threads(spec.threads)
    if spec.deterministic:
        deterministic(True)
    try:
        yield
    finally:
        if spec.deterministic:
            deterministic(False)
        torch.set_num_threads(torch_threads)
        set_threads(own_threads)


def _save(files: RunFolder, session: Session) -> None:
    files.save(session.state_dict())
    if session.rows:
        files.write_csv(METRICS, session.rows)


def _finish(files: RunFolder, session: Session) -> dict[str, Any]:
    from mho.figures.curves import curves  # matplotlib takes a second to import
    from mho.figures.style import save

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
        "run": label(spec),
    } | provenance()
    title = f"{result['algorithm']}, {spec.data}, seed {spec.seed}"
    save(curves(session.rows, title), files.path / "curves")
    files.write_json(RESULT, result)
    return result
