"""An experiment: named cells that are run one by one, and what each must be compared with."""

import functools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mho.errors import complaint, did_you_mean
from mho.training.provenance import provenance


class Line(NamedTuple):
    """One number of a report: ours and the published one (None: nothing to compare with), with standard errors."""

    cell: str
    quantity: str
    ours: float
    error: float
    published: float | None
    published_error: float = 0.0

    @property
    def distance(self) -> float | None:
        """How many combined standard errors ours is from the published number."""
        if self.published is None:
            return None
        return abs(self.ours - self.published) / math.hypot(self.error, self.published_error)


Numbers = Mapping[str, Mapping[str, tuple[float, float]]]  # {cell: {quantity: (mean, standard error)}}
Tick = Callable[[int, int], None]
Run = Callable[[Mapping[str, Any], int, Tick], dict[str, tuple[float, float]]]


class Experiment(NamedTuple):
    """A table or figure as code.

    cells: {name: settings}, settings being plain data with an entry "steps".
    run: (settings, seed, tick) -> {quantity: (mean, standard error)}; calls tick(done, total) now and then.
    published: {(cell, quantity): number}; published_spread: their standard error in units of ours.
    summary: what follows from all cells together, such as a fitted exponent: {quantity: (value, standard error)}.
    figure: draws all cells.
    """

    id: str
    title: str
    source: str
    cells: Mapping[str, Mapping[str, Any]]
    run: Run
    published: Mapping[tuple[str, str], float]
    published_spread: float = 0.0
    summary: Callable[[Numbers], dict[str, tuple[float, float]]] | None = None
    figure: Callable[[Numbers], Any] | None = None


def numbers_in(experiment: Experiment, folder: Path) -> Numbers:
    """What a folder of finished cells holds. Raises: MhoError if one of the experiment's cells is missing."""
    numbers = {}
    for name in experiment.cells:
        file = folder / f"{name}.json"
        if not file.exists():
            where = f"mho papers run {experiment.id} --out {folder}"
            raise complaint(str(folder), f"the cell {name} has not been run", fix=f"run it with `{where}`")
        kept = json.loads(file.read_text(encoding="utf-8"))["numbers"]
        numbers[name] = {quantity: (mean, error) for quantity, (mean, error) in kept.items()}
    return numbers


def run_cells(
    experiment: Experiment,
    names: list[str],
    folder: Path,
    seed: int,
    share: float = 1.0,
    watch: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> list[Line]:
    """Runs the cells (a `share` of their steps), or takes from the folder those that it already holds.

    Each finished cell is one JSON file with its settings, seed, versions and numbers; a file with other settings
    is an error. Raises: MhoError for an unknown cell.
    """
    lines = []
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name not in experiment.cells:
            where = f"mho papers run {experiment.id} --cells {name}"
            raise complaint(where, "there is no such cell", did_you_mean(name, experiment.cells))
        settings = dict(experiment.cells[name])
        settings["steps"] = int(settings["steps"] * share)
        asked = json.loads(json.dumps({"settings": settings, "seed": seed}))
        file = folder / f"{name}.json"
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            if {key: kept[key] for key in asked} != asked:
                fix = "name another folder with --out"
                raise complaint(str(file), "it holds the result of other settings or another seed", fix=fix)
        else:
            numbers = experiment.run(settings, seed, functools.partial(watch, name))
            kept = asked | {"numbers": numbers} | provenance()
            file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        for quantity, (mean, error) in kept["numbers"].items():
            published = experiment.published.get((name, quantity))
            spread = experiment.published_spread * error
            lines.append(Line(name, quantity, mean, error, published, spread))
    return lines
