"""An experiment: named cells that are run one by one, and what each must be compared with."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Numbers = Mapping[str, Mapping[str, tuple[float, float]]]  # {cell: {quantity: (mean, standard error)}}


class Tick:
    """What a run is handed: `tick(done, total)` tells how far it is; `store` is for what it can go on from."""

    def __init__(self, tell: Callable[[int, int], None], store: Path) -> None:
        self.tell, self.store = tell, store

    def __call__(self, done: int, total: int) -> None:
        self.tell(done, total)


Run = Callable[[Mapping[str, Any], int, Tick], dict[str, tuple[float, float]]]


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
        """How many combined standard errors ours is from the published number; None if there are no errors."""
        combined = math.hypot(self.error, self.published_error)
        return None if self.published is None or not combined else abs(self.ours - self.published) / combined


class Experiment(NamedTuple):
    """A table or figure as code.

    cells: {name: settings}, settings being plain data with an entry "steps".
    run: (settings, seed, tick) -> {quantity: (mean, standard error)}; calls tick(done, total) now and then.
    published: {(cell, quantity): number, or (number, standard deviation over its runs)}.
    runs: how many runs such a standard deviation is over.
    published_spread: where there is none, the standard error of a published number in units of ours.
    causes: why ours differs, where that is known: {cell: text}; "*" is for all other cells.
    notes: what the report says above the table.
    record: what a finished cell's file holds besides the numbers: (settings, seed, store) -> plain data.
    summary: what follows from all cells together, such as a fitted exponent: {quantity: (value, standard error)}.
    figure: draws all cells.
    curves: figures of the report, test accuracy by epoch: {name: cells, whose record has it}.
    """

    id: str
    title: str
    source: str
    cells: Mapping[str, Mapping[str, Any]]
    run: Run
    published: Mapping[tuple[str, str], float | tuple[float, float]]
    runs: int = 3
    published_spread: float = 0.0
    causes: Mapping[str, str] = {}
    notes: str = ""
    record: Callable[[Mapping[str, Any], int, Path], dict[str, Any]] | None = None
    summary: Callable[[Numbers], dict[str, tuple[float, float]]] | None = None
    figure: Callable[[Numbers], Any] | None = None
    curves: Mapping[str, Sequence[str]] = {}

    def paper(self, cell: str, quantity: str) -> tuple[float, float | None] | None:
        """The published number and its standard deviation (None: not given); None: nothing is published."""
        value = self.published.get((cell, quantity))
        return value if value is None or isinstance(value, tuple) else (value, None)
