"""Experiments whose cells are training runs: each one in a folder of its content, checkpointed every epoch."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mho.base.config import from_dict, to_dict
from mho.base.provenance import provenance
from mho.experiments.experiment import Experiment, Tick
from mho.nn.conversion.convert import ConversionWarning
from mho.training.folder import RunFolder
from mho.training.loop import train
from mho.training.session import Row, Session
from mho.training.spec import RunSpec

NOT_CONTENT = ("epochs", "threads", "data_dir")  # a run may go on with others


def table(**fields: Any) -> Experiment:
    """An experiment all of whose cells are trainings."""
    return Experiment(run=run, record=record, **fields)


def cell(spec: RunSpec) -> dict[str, Any]:
    """The settings of a cell that is this run; a step is an epoch."""
    return {"run": to_dict(spec), "steps": spec.epochs}


def spec_of(settings: Mapping[str, Any], seed: int) -> RunSpec:
    """The run of a cell. One thread: several runs at a time are faster than one with several threads."""
    spec: RunSpec = from_dict(settings["run"], kind=RunSpec)
    return spec.replace(seed=seed, epochs=max(1, settings["steps"]), threads=1)


def folder_of(spec: RunSpec, store: Path) -> Path:
    """Where a run is kept: below `store`, named after what it is made of. Equal runs of any tables are one run."""
    content = {name: value for name, value in to_dict(spec).items() if name not in NOT_CONTENT}
    content["package"] = provenance()["versions"]["mho"]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return store / digest[:16]


def run(settings: Mapping[str, Any], seed: int, tick: Tick) -> dict[str, tuple[float, float]]:
    """{"test accuracy": of the last epoch [%]; "best accuracy": of the best; "train loss"; "pulses": to a cell,
    mean of all arrays}. One run: the errors are 0.

    A run that was stopped goes on from its last epoch, or from the moment at which a signal stopped it.
    """
    spec = spec_of(settings, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)  # the devices of these tables hold weights badly
        result = go_on(spec, folder_of(spec, tick.store), tick)
    arrays = result["arrays"].values()
    found = {
        "test accuracy": 100 * result["test_accuracy"],
        "best accuracy": 100 * result["best_test_accuracy"],
        "train loss": result["train_loss"],
    }
    if arrays:
        found["pulses"] = sum(a["up"] + a["down"] for a in arrays) / sum(a["cells"] for a in arrays)
    return {name: (float(value), 0.0) for name, value in found.items()}


def go_on(spec: RunSpec, folder: Path, tick: Tick) -> dict[str, Any]:
    """What `train` returns: of a new run, of one that goes on, or of a finished one."""
    return train(spec, folder, resume=(folder / "config.json").exists(), watch=_Watch(tick))


def record(settings: Mapping[str, Any], seed: int, store: Path) -> dict[str, Any]:
    """{"test accuracy by epoch": [%]; "pulses sent": by array; "seconds": of all parts of the run}."""
    files = RunFolder(folder_of(spec_of(settings, seed), store))
    result = files.result() or {}
    arrays = {name: {way: a[way] for way in ("up", "down")} for name, a in result["arrays"].items()}
    accuracies = [round(100 * float(row["test_accuracy"]), 4) for row in files.rows()]
    return {"test accuracy by epoch": accuracies, "pulses sent": arrays, "seconds": result["seconds"]}


class _Watch:
    def __init__(self, tick: Tick) -> None:
        self.tick = tick

    def batch(self, session: Session) -> None:
        if session.batch % 50 == 0:
            total = session.spec.epochs * session.batches
            self.tick(session.epoch * session.batches + session.batch, total)

    def epoch(self, session: Session, row: Row) -> None:
        pass

    def close(self) -> None:
        pass
