"""The files of finished cells: one small JSON for each cell and seed."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import mho.algorithms
import mho.cells
import mho.responses  # noqa: F401  all three register what a file may name
from mho.base.config import from_dict, read, to_dict
from mho.base.errors import MhoError, complaint, within
from mho.base.stored import check
from mho.experiments.experiment import Experiment, Numbers, Pair
from mho.training.label import differences

CellResult = TypedDict(
    "CellResult",
    {
        "settings": dict[str, Any],
        "seed": int,
        "numbers": dict[str, tuple[float, float]],
        "seconds": NotRequired[float],
        "test accuracy by epoch": NotRequired[list[float]],
        "pulses sent": NotRequired[dict[str, dict[str, float]]],
    },
)
"""The entries of the file of a finished cell."""


def file_of(folder: Path, cell: str, seed: int) -> Path:
    """Return CELL.json for seed 0, CELL-seedN.json for others."""
    return folder / (f"{cell}-seed{seed}.json" if seed else f"{cell}.json")


def asked_for(experiment: Experiment, cell: str, seed: int, share: float = 1.0) -> dict[str, Any]:
    """Return what a file must say that it holds: {"settings", "seed"}, as JSON gives it back."""
    settings = dict(experiment.cells[cell])
    settings["steps"] = int(settings["steps"] * share)
    return _as_json({"settings": settings, "seed": seed})


def kept(file: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a finished cell, or None. Raises: MhoError if the file is of other settings or another seed."""
    return _checked(file, _read(file), asked) if file.exists() else None


def of_all_seeds(experiment: Experiment, folder: Path, cell: str) -> list[dict[str, Any]]:
    """Return the finished files of a cell, seed 0 first. Raises: MhoError for a file of other settings."""
    files = sorted([*folder.glob(f"{cell}.json"), *folder.glob(f"{cell}-seed*.json")])
    return [
        _checked(file, found, asked_for(experiment, cell, found["seed"]))
        for file, found in ((file, _read(file)) for file in files)
        if file == file_of(folder, cell, found["seed"])
    ]


def _read(file: Path) -> dict[str, Any]:
    found = read(file)
    check(found, CellResult, str(file), "remove the file and run the cell again")
    return found


def _checked(file: Path, found: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file holds, if it holds what was asked for."""
    try:
        held = {key: _full(found[key]) for key in asked}
    except MhoError as error:
        raise within(str(file), error) from None
    if held != asked:
        what = f"it holds the result of other settings or another seed: {'; '.join(differences(held, asked))}"
        raise complaint(str(file), what, fix="take another folder for the results")
    return found


def _full(data: Any) -> Any:
    """Return plain data with the fields that its records have got since it was written, at their defaults."""
    if isinstance(data, dict) and "type" in data:
        return _as_json(to_dict(from_dict(data)))
    if isinstance(data, dict):
        return {name: _full(value) for name, value in data.items()}
    return [_full(value) for value in data] if isinstance(data, list) else data


def _as_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


def numbers_in(experiment: Experiment, folder: Path) -> Numbers:
    """Return the numbers of all cells in a folder, means over seeds.

    Raises: MhoError if one of the experiment's cells is missing.
    """
    numbers = {}
    for cell in experiment.cells:
        files = of_all_seeds(experiment, folder, cell)
        if not files:
            fix = f"run the experiment {experiment.id} with its results in that folder"
            raise complaint(str(folder), f"the cell {cell} has not been run", fix=fix)
        numbers[cell] = _over_seeds(files)
    return numbers


def _over_seeds(files: Sequence[Mapping[str, Any]]) -> dict[str, Pair]:
    """Return {quantity: (mean, standard error)} over files of one cell; of a single file, its own errors."""
    if len(files) == 1:
        return {name: (mean, error) for name, (mean, error) in files[0]["numbers"].items()}
    means = {}
    for name in dict.fromkeys(name for file in files for name in file["numbers"]):
        values = [file["numbers"][name][0] for file in files if name in file["numbers"]]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        means[name] = (statistics.fmean(values), spread / math.sqrt(len(values)))
    return means
