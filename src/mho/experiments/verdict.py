"""The one comparison of our numbers with published ones: spread, distance and verdict.

`mho papers run` prints it, and the page of `mho papers report` is made of it.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mho.experiments.experiment import Experiment

AGREES = 2.0  # combined standard deviations
KINDS = ("agrees", "differs", "no spread", "not run")
UNKNOWN = "not known"
DEFINITION = f"""\
**±** is the standard deviation over seeds. For a single seed it is the standard error that the experiment itself
gives, if it gives one. **Away** is the difference in combined standard deviations, sqrt(ours^2 + paper^2). If our
number has none, it is taken to have the paper's. **Verdict**: agrees, if away is at most {AGREES:g}; differs, with
the cause, if it is known; no spread, if neither number has one; or not run.
"""


class Comparison(NamedTuple):
    """One number beside the published one.

    published, published_spread: the paper's number and standard deviation; None if nothing is published.
    ours, spread: our mean over seeds, and the number behind ± (`DEFINITION`); None if no seed got so far.
    seeds: the number of seeds that were run.
    cause: the cause of a difference.
    """

    cell: str
    quantity: str
    published: float | None
    published_spread: float | None
    ours: float | None
    spread: float | None
    seeds: int
    cause: str = UNKNOWN

    @property
    def away(self) -> float | None:
        """The difference in combined standard deviations; None without any."""
        if self.ours is None or self.published is None:
            return None
        theirs = self.published_spread or 0.0
        combined = math.hypot(theirs if self.spread is None else self.spread, theirs)
        return abs(self.ours - self.published) / combined if combined else None

    @property
    def kind(self) -> str:
        """One of `KINDS`, or "" if nothing is published."""
        if self.published is None:
            return ""
        if not self.seeds:
            return "not run"
        if self.ours is None:
            return "differs"
        if self.away is None:
            return "agrees" if self.ours == self.published else "no spread"
        return "agrees" if self.away <= AGREES else "differs"

    @property
    def verdict(self) -> str:
        """The kind, with the cause of a difference."""
        told = self.kind == "differs" or (self.kind == "no spread" and self.cause != UNKNOWN)
        return f"{self.kind}: {self.cause}" if told else self.kind


def comparisons(
    experiment: Experiment, cell: str, files: Sequence[Mapping[str, Any]], published_only: bool = False
) -> list[Comparison]:
    """Compare the numbers of a cell with the published ones.

    Args:
        experiment: the experiment; cell: the name of its cell.
        files: the finished files of the cell, one a seed; empty if it was not run.
        published_only: leave out numbers of ours that nothing is published about.
    """
    published = [quantity for name, quantity in experiment.published if name == cell]
    measured = [] if published_only else [quantity for file in files for quantity in file["numbers"]]
    return [_compare(experiment, cell, quantity, files) for quantity in dict.fromkeys(measured + published)]


def _compare(
    experiment: Experiment, cell: str, quantity: str, files: Sequence[Mapping[str, Any]]
) -> Comparison:
    values = [file["numbers"][quantity] for file in files if quantity in file["numbers"]]
    ours, spread = None, None
    if values:
        ours = statistics.fmean(mean for mean, _ in values)
        spread = statistics.stdev(mean for mean, _ in values) if len(values) > 1 else values[0][1] or None
    published, theirs = experiment.paper(cell, quantity) or (None, None)
    if published is not None and theirs is None and spread is not None:
        theirs = experiment.published_spread * spread
    cause = experiment.causes.get(cell, experiment.causes.get("*", UNKNOWN))
    return Comparison(cell, quantity, published, theirs, ours, spread, len(files), cause)
