"""The page that sets the published numbers beside ours, with its figures, and its summary for a README."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mho.base.errors import complaint
from mho.base.files import make_folder, write_text
from mho.base.stored import read_text
from mho.experiments.experiment import Experiment
from mho.experiments.results import file_of, of_all_seeds
from mho.experiments.verdict import DEFINITION, KINDS, Comparison, comparisons

_NAMED = 12  # most cells that are named as not run
MARK = "<!-- papers -->"
HEAD = f"""# The published numbers and ours

Written by `mho papers report` from the files in `results`. `mho papers run` prints the same distances and verdicts.
{DEFINITION}"""
Experiments = Mapping[str, Experiment]


def rows(experiment: Experiment, folder: Path) -> list[Comparison]:
    """Compare each published number of an experiment with the files of its cells in `folder`."""
    cells = dict.fromkeys(cell for cell, _ in experiment.published)
    found = {
        (one.cell, one.quantity): one
        for cell in cells
        for one in comparisons(experiment, cell, of_all_seeds(experiment, folder, cell), published_only=True)
    }
    return [found[key] for key in experiment.published]


def page(experiments: Experiments, results: Path) -> str:
    """Return the page as Markdown, with figures in a folder `papers` beside it."""
    parts = [HEAD, summary(experiments, results), ""]
    for experiment in experiments.values():
        folder = results / experiment.id
        found = rows(experiment, folder)
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


def summary(experiments: Experiments, results: Path) -> str:
    """Return a table with a line for each experiment that has published numbers."""
    lines = [
        "| experiment | numbers | agree | differ | no spread | not run | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for experiment in experiments.values():
        found = rows(experiment, results / experiment.id)
        if not found:
            continue
        kinds = [one.kind for one in found]
        seeds = sorted({one.seeds for one in found if one.seeds})
        over = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0]) if seeds else ""
        counts = " | ".join(str(kinds.count(kind)) for kind in KINDS)
        lines.append(f"| {experiment.title} | {len(found)} | {counts} | {over} |")
    return "\n".join(lines)


def _table(found: Sequence[Comparison]) -> list[str]:
    """Return the cells that were run as a table, and the names of the others."""
    several = len({one.quantity for one in found}) > 1
    lines = ["| cell | paper | ours | seeds | away | verdict |", "|---|---|---|---|---|---|"]
    for one in found:
        if one.seeds:
            name = f"{one.cell}, {one.quantity}" if several else one.cell
            ours = "not reached" if one.ours is None else _number(one.ours, one.spread)
            away = "" if one.away is None else f"{one.away:.1f}"
            spread = f" ± {one.published_spread:.2g}" if one.published_spread else ""
            lines.append(
                f"| {name} | {one.published:g}{spread} | {ours} | {one.seeds} | {away} | {one.verdict} |"
            )
    lines = lines if len(lines) > 2 else []
    cells = list(dict.fromkeys(one.cell for one in found if not one.seeds))
    names = ", ".join(cells) if len(cells) <= _NAMED else f"{len(cells)} cells (`mho papers list` names them)"
    return lines + ([""] if lines and cells else []) + ([f"Not run: {names}."] if cells else [])


def _own(experiment: Experiment, folder: Path) -> list[str]:
    """Return all numbers of an experiment that has nothing to be compared with."""
    lines = ["| cell | quantity | ours | seeds |", "|---|---|---|---|"]
    for cell in experiment.cells:
        for one in comparisons(experiment, cell, of_all_seeds(experiment, folder, cell)):
            assert one.ours is not None, "it was measured"
            lines.append(f"| {cell} | {one.quantity} | {_number(one.ours, one.spread)} | {one.seeds} |")
    return lines if len(lines) > 2 else []


def _number(value: float, spread: float | None) -> str:
    """Return a number with two digits of its spread, or four of its own."""
    if not spread:
        return f"{value:.4g}"
    places = max(0, 1 - math.floor(math.log10(spread)))
    return f"{value:.{places}f} ± {spread:.{places}f}" if places < 5 else f"{value:.3g} ± {spread:.1g}"


def _drawn(found: Sequence[Comparison]) -> bool:
    """Check that there is enough for a figure: a table of accuracies of which something has been run."""
    return bool(found) and found[0].quantity == "test accuracy" and any(one.ours is not None for one in found)


def _histories(experiment: Experiment, folder: Path) -> dict[str, dict[str, list[list[float]]]]:
    """Return {figure: {cell: accuracies by epoch of each seed, 0 to 1}} for the cells that have been run."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for name, cells in experiment.curves.items():
        for cell in cells:
            for file in of_all_seeds(experiment, folder, cell):
                if "test accuracy by epoch" not in file:
                    where = str(file_of(folder, cell, file["seed"]))
                    raise complaint(
                        where, "it has no accuracies by epoch", fix="remove it and run the cell again"
                    )
                history = [accuracy / 100 for accuracy in file["test accuracy by epoch"]]
                found.setdefault(name, {}).setdefault(cell, []).append(history)
    return found


def write(experiments: Experiments, results: Path, out: Path, readme: Path | None = None) -> list[Path]:
    """Write the page, its figures, and the summary between the marks of `readme`; return the files.

    Args:
        experiments: {id: experiment}, in the order of the page.
        results: a folder with a folder for each experiment.
        out: the page; its figures go to a folder `papers` beside it.
        readme: a file with two marks `MARK`.
    Raises: MhoError if `results` is no folder, or `readme` has no two marks.
    """
    from mho.experiments.figures import accuracies  # matplotlib takes a second to import
    from mho.figures.curves import comparison
    from mho.figures.style import save

    if not results.is_dir():
        raise complaint(
            f"write(results={str(results)!r})", "there is no such folder", fix="run an experiment first"
        )
    parts = [] if readme is None else read_text(readme).split(MARK)
    if readme is not None and len(parts) != 3:
        where, fix = f"write(readme={str(readme)!r})", "add them where the summary goes"
        raise complaint(where, f"it has no two marks {MARK}", fix=fix)
    written = [out]
    make_folder(out.parent)
    write_text(out, page(experiments, results))
    for experiment in experiments.values():
        found = rows(experiment, results / experiment.id)
        figures = {experiment.id: accuracies(found)} if _drawn(found) else {}
        for name, histories in _histories(experiment, results / experiment.id).items():
            figures[name] = comparison(histories)
        for name, figure in figures.items():
            written += save(figure, out.parent / "papers" / f"{name}.png")
    if readme is not None:
        write_text(readme, f"{parts[0]}{MARK}\n{summary(experiments, results)}\n{MARK}{parts[2]}")
        written.append(readme)
    return written
