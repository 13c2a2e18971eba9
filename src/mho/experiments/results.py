"""The files of finished cells: one small JSON for each cell and seed."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mho.algorithms
import mho.cells
import mho.responses  # noqa: F401  all three register what a file may name
from mho.base.config import from_dict, to_dict
from mho.base.errors import complaint
from mho.experiments.experiment import Experiment, Line, Numbers


def file_of(folder: Path, cell: str, seed: int) -> Path:
    """CELL.json for seed 0, CELL-seedN.json for others."""
    return folder / (f"{cell}-seed{seed}.json" if seed else f"{cell}.json")


def asked_for(experiment: Experiment, cell: str, seed: int, share: float = 1.0) -> dict[str, Any]:
    """What a file must say that it holds: {"settings", "seed"}, as JSON gives it back."""
    settings = dict(experiment.cells[cell])
    settings["steps"] = int(settings["steps"] * share)
    return json.loads(json.dumps({"settings": settings, "seed": seed}))


def kept(file: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """A finished cell, or None. Raises: MhoError if the file is of other settings or another seed."""
    if not file.exists():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    if _full({key: found[key] for key in asked}) != asked:
        fix = "name another folder with --out"
        raise complaint(str(file), "it holds the result of other settings or another seed", fix=fix)
    return found


def _full(data: Any) -> Any:
    """Plain data with the fields that its objects have got since it was written, at their defaults."""
    if isinstance(data, dict):
        data = {name: _full(value) for name, value in data.items()}
        return json.loads(json.dumps(to_dict(from_dict(data)))) if "type" in data else data
    return [_full(value) for value in data] if isinstance(data, list) else data


def of_all_seeds(experiment: Experiment, folder: Path, cell: str) -> list[dict[str, Any]]:
    """The finished files of a cell, seed 0 first. Raises: MhoError for a file of other settings."""
    found = []
    for file in sorted([*folder.glob(f"{cell}.json"), *folder.glob(f"{cell}-seed*.json")]):
        seed = json.loads(file.read_text(encoding="utf-8"))["seed"]
        if file == file_of(folder, cell, seed):
            found.append(kept(file, asked_for(experiment, cell, seed)))
    return [one for one in found if one is not None]


def over_seeds(files: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """{quantity: (mean, standard error)} over files of one cell; a single file's own errors."""
    if len(files) == 1:
        return {name: (mean, error) for name, (mean, error) in files[0]["numbers"].items()}
    means = {}
    for name in {name: None for file in files for name in file["numbers"]}:  # a dict keeps their order
        values = [file["numbers"][name][0] for file in files if name in file["numbers"]]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        means[name] = (statistics.fmean(values), spread / math.sqrt(len(values)))
    return means


def numbers_in(experiment: Experiment, folder: Path) -> Numbers:
    """What a folder of finished cells holds. Raises: MhoError if one of the experiment's cells is missing."""
    numbers = {}
    for cell in experiment.cells:
        files = of_all_seeds(experiment, folder, cell)
        if not files:
            where = f"mho papers run {experiment.id} --out {folder}"
            raise complaint(str(folder), f"the cell {cell} has not been run", fix=f"run it with `{where}`")
        numbers[cell] = over_seeds(files)
    return numbers


def lines_of(experiment: Experiment, cell: str, files: Sequence[Mapping[str, Any]]) -> list[Line]:
    """A cell's numbers beside the published ones, all with standard errors."""
    lines = []
    for quantity, (mean, error) in over_seeds(files).items():
        value, spread = experiment.paper(cell, quantity) or (None, None)
        theirs = (
            experiment.published_spread * error if spread is None else spread / math.sqrt(experiment.runs)
        )
        lines.append(Line(cell, quantity, mean, error, value, theirs))
    return lines
