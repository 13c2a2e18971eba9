"""The runner of cells: it runs what has not been run, in this process or in several, trainings among them."""

import time
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mho.base.errors import complaint, did_you_mean, shown
from mho.base.files import make_folder, write_json
from mho.base.provenance import provenance
from mho.experiments.experiment import Experiment, Tick
from mho.experiments.processes import Tell, Watch, in_processes
from mho.experiments.results import asked_for, file_of, kept
from mho.experiments.store import folder_of, spec_of
from mho.experiments.verdict import Comparison, comparisons
from mho.nn.core.birth import ConversionWarning
from mho.training.folder import RunFolder
from mho.training.loop import train
from mho.training.plan import Seed
from mho.training.session import Row, Session
from mho.training.spec import RunSpec

STORE = Path("runs") / "papers" / "store"


class _Job(NamedTuple):
    """A cell to run: its experiment, {"settings", "seed"}, the file of its result, and the store of trainings."""

    experiment: Experiment
    asked: Mapping[str, Any]
    file: Path
    store: Path


def run_cells(
    experiment: Experiment,
    names: Sequence[str],
    folder: Path,
    seeds: Sequence[int],
    share: float = 1.0,
    watch: Watch = lambda name, done, total: None,
    jobs: int = 1,
    store: Path = STORE,
) -> list[Comparison]:
    """Run cells with each seed, or take from the folder those that it holds, and compare them with the paper.

    All cells with the first seed come first. Each finished cell is one JSON file with its settings, seed, versions,
    seconds and numbers. Cells that are trainings keep a checkpoint of each epoch below `store` and go on from it.

    Args:
        experiment: the experiment; names: of its cells.
        folder: for the files of finished cells.
        seeds: the seeds of problems, devices and noise.
        share: of the steps of each cell, 0 to 1.
        watch: receives (title of a cell, done, total).
        jobs: processes at a time; more than one run a cell each, on one thread.
        store: the folder of trainings (`experiments.store`).
    Raises: MhoError for an unknown cell, and for a file that holds other settings or another seed.
    """
    for name in names:
        if name not in experiment.cells:
            where = f"run_cells(cells={name!r})"
            raise complaint(where, "there is no such cell", did_you_mean(name, experiment.cells))
    if wrong := [seed for seed in seeds if not Seed.accepts(seed)]:
        raise complaint(f"run_cells(seeds={shown(wrong)})", f"a seed must be {Seed.words}")
    make_folder(folder)
    left: dict[str, _Job] = {}
    for seed in seeds:
        for name in names:
            asked, file = asked_for(experiment, name, seed, share), file_of(folder, name, seed)
            if kept(file, asked) is None:
                left[f"{name}, seed {seed}" if seed else name] = _Job(experiment, asked, file, store)
    if jobs == 1:
        for title, job in left.items():
            _finish(job, partial(watch, title))
    else:
        in_processes(_finish, left, jobs, watch)
    found = []
    for name in names:
        files = [kept(file_of(folder, name, s), asked_for(experiment, name, s, share)) for s in seeds]
        found += comparisons(experiment, name, [file for file in files if file is not None])
    return found


def _finish(job: _Job, tell: Tell) -> None:
    """Run one cell and write its file."""
    settings, seed = job.asked["settings"], job.asked["seed"]
    if job.experiment.run is None:
        found = training(settings, seed, tell, job.store)
    else:
        start = time.monotonic()
        numbers = job.experiment.run(settings, seed, Tick(tell, partial(_trained, job.store, tell)))
        found = {"numbers": numbers, "seconds": round(time.monotonic() - start, 1)}
    write_json(job.file, {**job.asked, **found} | provenance(), indent=1)


def training(settings: Mapping[str, Any], seed: int, tell: Tell, store: Path) -> dict[str, Any]:
    """Train a cell, or go on with it, and return what its file holds.

    "numbers": "test accuracy" of the last epoch and "best accuracy" [%], "train loss", and "pulses" to a cell, mean
    of all arrays; it is one run, so the errors are 0. "seconds": of all parts of the run. "test accuracy by epoch"
    [%]. "pulses sent": by array. A run that was stopped goes on from its last epoch, or from the moment at which a
    signal stopped it.
    """
    spec = spec_of(settings, seed)
    folder = folder_of(spec, store)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)  # the devices of these tables hold weights badly
        result = _train(spec, folder, tell)
    arrays = result["arrays"]
    numbers = {
        "test accuracy": 100 * result["test_accuracy"],
        "best accuracy": 100 * result["best_test_accuracy"],
        "train loss": result["train_loss"],
    }
    if arrays:
        sent, cells = (
            sum(a[n] for a in arrays.values() for n in names) for names in (("up", "down"), ("cells",))
        )
        numbers["pulses"] = sent / cells
    return {
        "numbers": {name: (float(value), 0.0) for name, value in numbers.items()},
        "seconds": result["seconds"],
        "test accuracy by epoch": [round(100 * row["test_accuracy"], 4) for row in RunFolder(folder).rows()],
        "pulses sent": {name: {way: a[way] for way in ("up", "down")} for name, a in arrays.items()},
    }


def _trained(store: Path, tell: Tell, spec: RunSpec) -> dict[str, Any]:
    """Return the state_dict of the network of a run, which is trained once."""
    spec = spec.replace(threads=1)
    folder = folder_of(spec, store)
    _train(spec, folder, tell)
    state = RunFolder(folder).checkpoint()
    if state is None:
        fix = "remove the folder, and run the same again"
        raise complaint(str(folder), "the checkpoint of this finished run is gone", fix=fix)
    return state["model"]


def _train(spec: RunSpec, folder: Path, tell: Tell) -> dict[str, Any]:
    """Return the result of `train`: of a new run, of a run that goes on, or of a finished one.

    Where two cells have one training, the second waits for the first.
    """
    return train(spec, folder, resume=True, watch=_Report(tell), wait=True)


class _Report:
    """The watcher of a training that reports its progress to the runner."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell

    def batch(self, session: Session) -> None:
        if session.batch % 50 == 0:
            total = session.spec.epochs * session.batches
            self.tell(session.epoch * session.batches + session.batch, total)

    def epoch(self, session: Session, row: Row) -> None:
        pass

    def close(self) -> None:
        pass
