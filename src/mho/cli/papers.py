"""`mho papers`: the experiments of the papers, run again and compared."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from mho.errors import complaint, did_you_mean

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
    cells: Annotated[str, Option(metavar="A,B,...", help="Cells to run.", show_default="all of them")] = "",
    seed: Annotated[int, Option(help="Of problems, devices and noise.")] = 0,
    out: Annotated[
        Path | None, Option(help="Folder of the results.", show_default="runs/papers/EXPERIMENT")
    ] = None,
    quick: Annotated[
        bool, Option("--quick", help="A tenth of the steps: a look at it, not a reproduction.")
    ] = False,
) -> None:
    """Run an experiment and print our numbers beside the published ones.

    Each finished cell is one JSON file in --out and is not run again; after Ctrl-C the same command goes on
    with the cell that was interrupted.

    Examples:

    - mho papers run quadratic

    - mho papers run quadratic --cells analog-sgd,rl-true-point --seed 1 --out runs/quadratic-1
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from mho.papers import EXPERIMENTS
    from mho.papers.experiment import numbers_in, run_cells

    if experiment not in EXPERIMENTS:
        where = f"mho papers run {experiment}"
        raise complaint(where, "there is no such experiment", did_you_mean(experiment, EXPERIMENTS))
    chosen = EXPERIMENTS[experiment]
    names = [name.strip() for name in cells.split(",") if name.strip()] or list(chosen.cells)
    name_of_folder = experiment + ("-quick" if quick else "") + (f"-seed{seed}" if seed else "")
    folder = out or Path("runs") / "papers" / name_of_folder
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def watch(name: str, done: int, total: int) -> None:
            bar.update(task, description=name, completed=done, total=total)

        lines = run_cells(chosen, names, folder, seed, 0.1 if quick else 1.0, watch)
    Console().print(_table(chosen.title, lines))
    if chosen.summary is not None and all((folder / f"{cell}.json").exists() for cell in chosen.cells):
        found = chosen.summary(numbers_in(chosen, folder))
        for name, (value, error) in found.items():
            Console().print(f"  {name}: {value:.4g}" + (f" ± {error:.2g}" if error else ""), highlight=False)
    note = "± is the standard error; away: distance from the reference in combined standard errors."
    Console().print(f"{note}\nResults: {folder}/*.json", soft_wrap=True)


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
    from mho.papers import EXPERIMENTS
    from mho.papers.experiment import numbers_in
    from mho.portrait.figure import save

    if experiment not in EXPERIMENTS:
        where = f"mho papers plot {experiment}"
        raise complaint(where, "there is no such experiment", did_you_mean(experiment, EXPERIMENTS))
    chosen = EXPERIMENTS[experiment]
    if chosen.figure is None:
        drawn = ", ".join(name for name, known in EXPERIMENTS.items() if known.figure is not None)
        raise complaint(f"mho papers plot {experiment}", "it has no figure", f"These have: {drawn}")
    figure = chosen.figure(numbers_in(chosen, results or Path("runs") / "papers" / experiment))
    for path in [out] if out else [Path(f"{experiment}.png"), Path(f"{experiment}.pdf")]:
        typer.echo(f"written: {save(figure, path)}")


def _table(title: str, lines: list):
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    view = Table(title=title, box=SIMPLE_HEAD)
    for name in ("cell", "quantity"):
        view.add_column(name, no_wrap=True)
    for name in ("ours", "±", "reference", "away"):
        view.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        known = line.published is not None
        view.add_row(
            line.cell,
            line.quantity,
            f"{line.ours:.2e}",
            f"{line.error:.1e}",
            f"{line.published:.1e}" if known else "",
            f"{line.distance:.1f}" if known else "",
        )
    return view
