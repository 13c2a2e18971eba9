"""The page that sets the published numbers beside ours."""

import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mho.base.errors import complaint
from mho.experiments.experiment import Experiment
from mho.experiments.results import of_all_seeds, over_seeds
from mho.papers import EXPERIMENTS
from mho.training.folder import whole

AGREES = 2.0  # combined standard deviations
_NAMED = 12  # most cells that are named as not run
MARK = "<!-- papers -->"
UNKNOWN = "not known"
KINDS = ("agrees", "differs", "no spread", "not run")
HEAD = f"""# The published numbers and ours

Written by `mho papers report` from the files in `results`. Behind ±: the standard deviation over seeds, or, of a
single file, the standard error that the experiment itself gives. **Away** is the difference in combined standard
deviations; where only one seed has been run, ours is taken to have the paper's. **Verdict**: agrees, if that is at
most {AGREES:g}; differs, with the cause, if it is known; no spread, if there is none to judge by; or not run.
"""


class Row(NamedTuple):
    """One published number. `ours` is None if the cell was not run, or if it did not get so far (`seeds` > 0)."""

    experiment: Experiment
    cell: str
    quantity: str
    paper: float
    paper_spread: float | None
    ours: float | None
    spread: float | None
    seeds: int

    @property
    def away(self) -> float | None:
        """The difference in combined standard deviations; None without any."""
        if self.ours is None:
            return None
        theirs = self.paper_spread or 0.0
        combined = math.hypot(theirs if self.spread is None else self.spread, theirs)
        return abs(self.ours - self.paper) / combined if combined else None

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        if not self.seeds:
            return "not run"
        if self.ours is None:
            return "differs"
        if self.away is None:
            return "agrees" if self.ours == self.paper else "no spread"
        return "agrees" if self.away <= AGREES else "differs"

    @property
    def verdict(self) -> str:
        """The kind, with the cause of a difference."""
        causes = self.experiment.causes
        cause = causes.get(self.cell, causes.get("*", UNKNOWN))
        if self.kind == "differs":
            return f"differs: {cause}"
        return f"no spread: {cause}" if self.kind == "no spread" and cause != UNKNOWN else self.kind


def rows(experiment: Experiment, folder: Path) -> Iterator[Row]:
    """A row for each published number of an experiment, from the files of its cells in `folder`."""
    for cell, quantity in experiment.published:
        paper, paper_spread = experiment.paper(cell, quantity) or (math.nan, None)
        files = of_all_seeds(experiment, folder, cell)
        values = [file["numbers"][quantity] for file in files if quantity in file["numbers"]]
        ours, spread = None, None
        if values:
            ours = statistics.fmean(mean for mean, _ in values)
            spread = statistics.stdev(mean for mean, _ in values) if len(values) > 1 else values[0][1] or None
        if paper_spread is None and spread is not None:
            paper_spread = experiment.published_spread * spread
        yield Row(experiment, cell, quantity, paper, paper_spread, ours, spread, len(files))


def page(results: Path) -> str:
    """The page as Markdown, with figures in a folder `papers` beside it."""
    parts = [HEAD, summary(results), ""]
    for experiment in EXPERIMENTS.values():
        folder = results / experiment.id
        found = list(rows(experiment, folder))
        tables = _table(found) if found else _own(experiment, folder) if experiment.notes else []
        if tables:
            parts += [f"## {experiment.title}", ""]
            parts += [f"`mho papers run {experiment.id}`. Source: {experiment.source}."]
            parts += ["", experiment.notes] if experiment.notes else []
            if _drawn(found):
                parts += ["", f"![{experiment.id}](papers/{experiment.id}.png)"]
            for name in _histories(experiment, folder):
                parts += ["", f"Test accuracy by epoch: ![{name}](papers/{name}.png)"]
            parts += ["", *tables, ""]
    return "\n".join(parts)


def summary(results: Path) -> str:
    """A line for each experiment that has published numbers."""
    lines = [
        "| experiment | numbers | agree | differ | no spread | not run | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for experiment in EXPERIMENTS.values():
        found = list(rows(experiment, results / experiment.id))
        if not found:
            continue
        kinds = [row.kind for row in found]
        seeds = sorted({row.seeds for row in found if row.seeds})
        over = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0]) if seeds else ""
        counts = " | ".join(str(kinds.count(kind)) for kind in KINDS)
        lines.append(f"| {experiment.title} | {len(found)} | {counts} | {over} |")
    return "\n".join(lines)


def _table(found: Sequence[Row]) -> list[str]:
    """What was run as a table, the names of the rest."""
    several, missing = len({row.quantity for row in found}) > 1, [row for row in found if not row.seeds]
    lines = ["| cell | paper | ours | seeds | away | verdict |", "|---|---|---|---|---|---|"]
    for row in found:
        if row.seeds:
            name = f"{row.cell}, {row.quantity}" if several else row.cell
            ours = "not reached" if row.ours is None else _number(row.ours, row.spread)
            away = "" if row.away is None else f"{row.away:.1f}"
            paper = f"{row.paper:g} ± {row.paper_spread:.2g}" if row.paper_spread else f"{row.paper:g}"
            lines.append(f"| {name} | {paper} | {ours} | {row.seeds} | {away} | {row.verdict} |")
    lines = lines if len(lines) > 2 else []
    cells = list(dict.fromkeys(row.cell for row in missing))
    names = ", ".join(cells) if len(cells) <= _NAMED else f"{len(cells)} cells (`mho papers list` names them)"
    return lines + ([""] if lines and missing else []) + ([f"Not run: {names}."] if missing else [])


def _own(experiment: Experiment, folder: Path) -> list[str]:
    """All numbers of an experiment that has nothing to be compared with."""
    lines = ["| cell | quantity | ours ± standard error | seeds |", "|---|---|---|---|"]
    for cell in experiment.cells:
        files = of_all_seeds(experiment, folder, cell)
        for quantity, (mean, error) in (over_seeds(files) if files else {}).items():
            lines.append(f"| {cell} | {quantity} | {_number(mean, error)} | {len(files)} |")
    return lines if len(lines) > 2 else []


def _number(value: float, spread: float | None) -> str:
    """With two digits of its spread, or four of its own."""
    if not spread:
        return f"{value:.4g}"
    places = max(0, 1 - math.floor(math.log10(spread)))
    return f"{value:.{places}f} ± {spread:.{places}f}" if places < 5 else f"{value:.3g} ± {spread:.1g}"


def _drawn(found: Sequence[Row]) -> bool:
    """Whether there is enough for a figure: tables of accuracies of which something has been run."""
    return bool(found) and found[0].quantity == "test accuracy" and any(row.ours is not None for row in found)


def _histories(experiment: Experiment, folder: Path) -> dict[str, dict[str, list[list[float]]]]:
    """{figure: {cell: accuracies by epoch of each seed, 0 to 1}} for the cells that have been run."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for name, cells in experiment.curves.items():
        for cell in cells:
            for file in of_all_seeds(experiment, folder, cell):
                history = [accuracy / 100 for accuracy in file["test accuracy by epoch"]]
                found.setdefault(name, {}).setdefault(cell, []).append(history)
    return found


def write(results: Path, out: Path, readme: Path | None = None) -> list[Path]:
    """Writes the page, its figures, and the summary between the marks of `readme`; returns what was written.

    Raises: MhoError if `results` is no folder, or `readme` has no two marks.
    """
    from mho.datasheet.figure import save
    from mho.experiments.figures import accuracies
    from mho.figures.curves import comparison

    if not results.is_dir():
        raise complaint(f"--results {results}", "there is no such folder", fix="run `mho papers run` first")
    written = [out]
    (out.parent / "papers").mkdir(parents=True, exist_ok=True)
    _put(out, page(results))
    for experiment in EXPERIMENTS.values():
        found = list(rows(experiment, results / experiment.id))
        figures = {experiment.id: accuracies(found)} if _drawn(found) else {}
        for name, histories in _histories(experiment, results / experiment.id).items():
            figures[name] = comparison(histories)
        for name, figure in figures.items():
            written.append(save(figure, out.parent / "papers" / f"{name}.png"))
    if readme is not None:
        parts = readme.read_text(encoding="utf-8").split(MARK)
        if len(parts) != 3:
            fix = "add them where the summary goes"
            raise complaint(f"--readme {readme}", f"it has no two marks {MARK}", fix=fix)
        _put(readme, f"{parts[0]}{MARK}\n{summary(results)}\n{MARK}{parts[2]}")
        written.append(readme)
    return written


def _put(file: Path, text: str) -> None:
    with whole(file) as part:
        part.write_text(text, encoding="utf-8")
