"""An experiment: named cells that are run one by one, the published number of each, and the link to the runner."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mho.base.config import to_dict
from mho.base.records import Record

Pair = tuple[float, float]  # mean, standard error
Numbers = Mapping[str, Mapping[str, Pair]]  # {cell: {quantity: (mean, standard error)}}
Published = dict[tuple[str, str], float | tuple[float, float]]
Settings = dict[str, Any]


class Tick:
    """The link from a run to its runner: `tick(done, total)` reports progress, `tick.trained` gives networks.

    Args:
        tell: receives (done, total).
        trained: takes a `RunSpec` and returns the state_dict of its trained network; equal runs are run once.
    """

    def __init__(self, tell: Callable[[int, int], None], trained: Callable[[Any], dict[str, Any]]) -> None:
        self.tell, self.trained = tell, trained

    def __call__(self, done: int, total: int) -> None:
        self.tell(done, total)


Run = Callable[[Mapping[str, Any], int, Tick], dict[str, Pair]]


class Experiment(NamedTuple):
    """A table, a figure or a theorem of a paper as code.

    id: the name on the command line and of the folder in `results`.
    title, source: what is shown, and where it is published: arXiv number, figure, table.
    cells: {name: settings}, settings being plain data with an entry "steps"; of `training`, if `run` is None.
    published: {(cell, quantity): number, or (number, standard deviation over its runs)}.
    run: (settings, seed, tick) -> {quantity: (mean, standard error)}; None if the cells are trainings.
    published_spread: the spread of a published number without one, in units of the spread of ours.
    causes: the known cause of a difference: {cell: text}; "*" is for all other cells.
    notes: a paragraph above the table of the page.
    summary: numbers that follow from all cells together, such as an exponent: {quantity: (value, standard error)}.
    figure: draws all cells.
    curves: figures of test accuracy by epoch for the page: {name: cells that are trainings}.
    """

    id: str
    title: str
    source: str
    cells: Mapping[str, Mapping[str, Any]]
    published: Mapping[tuple[str, str], float | tuple[float, float]] = {}
    run: Run | None = None
    published_spread: float = 0.0
    causes: Mapping[str, str] = {}
    notes: str = ""
    summary: Callable[[Numbers], dict[str, Pair]] | None = None
    figure: Callable[[Numbers], Any] | None = None
    curves: Mapping[str, Sequence[str]] = {}

    def paper(self, cell: str, quantity: str) -> tuple[float, float | None] | None:
        """Return the published number and its standard deviation (None: not given), or None without one."""
        value = self.published.get((cell, quantity))
        return value if value is None or isinstance(value, tuple) else (value, None)


def training(spec: Record) -> Settings:
    """Return the settings of a cell that is this training, a `RunSpec`; a step is an epoch."""
    data = to_dict(spec)
    return {"run": data, "steps": data["epochs"]}


def printed(value: str) -> tuple[float, float]:
    """Return accuracy and standard deviation as papers print them, such as "97.27±0.02"."""
    accuracy, _, deviation = value.partition("±")
    return float(accuracy), float(deviation)
