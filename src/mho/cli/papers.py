"""The verb `mho papers`: experiments of the papers, run again and compared."""

import fnmatch
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from mho.base.errors import complaint, did_you_mean
from mho.experiments.experiment import Experiment
from mho.experiments.verdict import DEFINITION, Comparison

app = typer.Typer(help="Run what the papers report, and compare.", no_args_is_help=True)


@app.command("list")
def list_experiments() -> None:
    """Print all experiments and their cells."""
    from rich.console import Console

    from mho.papers import EXPERIMENTS

    console = Console()
    for experiment in EXPERIMENTS.values():
        console.print(f"[bold]{experiment.id}[/bold]: {experiment.title}")
        console.print(f"  source: {experiment.source}", highlight=False)
        console.print(f"  cells: {', '.join(experiment.cells)}", highlight=False)


@app.command("run")
def run(
    experiment: Annotated[str, Argument(help="One of those that `mho papers list` prints.")],
    cells: Annotated[
        str,
        Option(metavar="A,B,...", help="Cells to run; * and ? as in a shell.", show_default="all of them"),
    ] = "",
    seed: Annotated[int, Option(min=0, help="The first seed, of problems, devices and noise.")] = 0,
    seeds: Annotated[int, Option(min=1, help="How many seeds, from --seed upwards.")] = 1,
    jobs: Annotated[
        int, Option(min=1, help="Processes, each of which runs one cell at a time on one thread.")
    ] = 1,
    out: Annotated[
        Path | None, Option(help="Folder of the results.", show_default="runs/papers/EXPERIMENT")
    ] = None,
    quick: Annotated[
        bool, Option("--quick", help="A tenth of the steps: a first look, not a reproduction.")
    ] = False,
) -> None:
    """Run an experiment and print our numbers beside the published ones, with a verdict.

    Each finished cell is one JSON file in --out and is not run again. After Ctrl-C the same command goes on: a
    cell that is a training with its last batch (runs/papers/store keeps its checkpoints), another one from its
    start. Experiments on MNIST need its files: `mho data get mnist`, or the variable MHO_DATA.

    Examples:

    - mho papers run quadratic

    - mho papers run quadratic --cells analog-sgd,rl-true-point --seed 1

    - mho papers run b-table-2 --cells "e-rider*" --seeds 3 --jobs 2 --out results/b-table-2
    """
    from rich.console import Console

    from mho.cli.progress import Bars
    from mho.experiments.runner import run_cells
    from mho.training.loop import Interrupted

    chosen = _experiment("run", experiment)
    names = _chosen(cells, list(chosen.cells))
    folder = out or Path("runs") / "papers" / (experiment + ("-quick" if quick else ""))
    with Bars(each=jobs > 1) as bar:
        share = 0.1 if quick else 1.0
        try:
            found = run_cells(chosen, names, folder, range(seed, seed + seeds), share, bar.show, jobs)
        except (Interrupted, KeyboardInterrupt):
            bar.close()
            Console(stderr=True).print("Stopped; the same command goes on from here.")
            raise SystemExit(130) from None
    Console().print(_table(chosen.title, found))
    if not quick:
        _summary(chosen, folder)
    Console().print(DEFINITION.replace("**", "").replace("\n", " "), highlight=False)
    Console().print(f"Results: {folder}/*.json", soft_wrap=True)


@app.command("plot")
def plot(
    experiment: Annotated[str, Argument(help="One of those that `mho papers list` prints.")],
    results: Annotated[
        Path | None, Option(help="Folder of its results.", show_default="runs/papers/EXPERIMENT")
    ] = None,
    out: Annotated[
        Path | None, Option(help="A .png, .pdf or .svg file.", show_default="EXPERIMENT.png and .pdf")
    ] = None,
) -> None:
    """Draw the figure of an experiment whose cells have all been run.

    Examples:

    - mho papers plot zero-shifting

    - mho papers plot zero-shifting --results results/zero-shifting --out figures/pulses.svg
    """
    from mho.experiments.results import numbers_in
    from mho.figures.style import save
    from mho.papers import EXPERIMENTS

    chosen = _experiment("plot", experiment)
    if chosen.figure is None:
        drawn = ", ".join(name for name, known in EXPERIMENTS.items() if known.figure is not None)
        raise complaint(f"mho papers plot {experiment}", "it has no figure", f"These have: {drawn}")
    figure = chosen.figure(numbers_in(chosen, results or Path("runs") / "papers" / experiment))
    for path in save(figure, out or Path(experiment)):
        typer.echo(f"written: {path}")


@app.command("report")
def report(
    results: Annotated[Path, Option(help="Folder with a folder for each experiment.")] = Path("results"),
    out: Annotated[Path, Option(help="The page to write; its figures go to a folder beside it.")] = Path(
        "docs/papers.md"
    ),
    readme: Annotated[
        Path | None, Option(help="A file to put the summary into, between its two marks <!-- papers -->.")
    ] = None,
) -> None:
    """Write a page of all published numbers beside ours: seeds, spreads, differences, verdicts.

    Cells that have not been run are listed as such.

    Examples:

    - mho papers report

    - mho papers report --results runs/papers --out report/papers.md
    """
    from mho.experiments.page import write
    from mho.papers import EXPERIMENTS

    if not results.is_dir():
        raise complaint(f"--results {results}", "there is no such folder", fix="run `mho papers run` first")
    for path in write(EXPERIMENTS, results, out, readme):
        typer.echo(f"written: {path}")


def _experiment(verb: str, name: str) -> Experiment:
    from mho.papers import EXPERIMENTS

    if name not in EXPERIMENTS:
        where = f"mho papers {verb} {name}"
        raise complaint(where, "there is no such experiment", did_you_mean(name, EXPERIMENTS))
    return EXPERIMENTS[name]


def _chosen(wanted: str, known: list[str]) -> list[str]:
    """Return the cells that names and patterns stand for; an unknown name stays, and `run_cells` rejects it."""
    if not wanted:
        return known
    found: dict[str, None] = {}
    for one in (part.strip() for part in wanted.split(",") if part.strip()):
        found |= dict.fromkeys(fnmatch.filter(known, one) or [one])
    return list(found)


def _summary(experiment: Experiment, folder: Path) -> None:
    """Print the numbers that follow from all cells together, once all cells have been run."""
    from rich.console import Console

    from mho.experiments.results import numbers_in, of_all_seeds

    if experiment.summary is None or not all(of_all_seeds(experiment, folder, c) for c in experiment.cells):
        return
    for name, (value, error) in experiment.summary(numbers_in(experiment, folder)).items():
        after = f" (standard error {error:.2g})" if error else ""
        Console().print(f"  {name}: {value:.4g}{after}", highlight=False)


def _table(title: str, found: list[Comparison]) -> Any:
    """Return the table of a run: the distances and verdicts of the page, without causes."""
    from mho.base.tables import table

    rows = [
        (
            one.cell,
            one.quantity,
            "not reached" if one.ours is None else f"{one.ours:.4g}",
            f"{one.spread:.2g}" if one.spread else "",
            "" if one.published is None else f"{one.published:.4g}",
            "" if one.away is None else f"{one.away:.1f}",
            one.kind,
        )
        for one in found
    ]
    numbers = (">ours", ">±", ">paper", ">away")
    words = ("quantity", "verdict")
    return table("cell", words[0], *numbers, words[1], rows=rows, title=title, unbroken=words)
