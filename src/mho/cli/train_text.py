"""What `mho train` says at its end."""

import os
from collections.abc import Mapping
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mho.training.compare import BASELINES
from mho.training.loop import Interrupted


def table(summary: Mapping[str, Any]) -> Table:
    """The comparison of `mho.training.compare` as a table, accuracies in percent, differences in points."""
    algorithms = summary["algorithms"]
    n = len(summary["seeds"])
    paired = {other for entry in algorithms.values() for other in entry["paired"]}
    others = [name for name in BASELINES if name in paired]
    title = f"Test accuracy, {n} seed{'s' if n > 1 else ''}"
    caption = "mean ± standard deviation over seeds; differences in points, paired by seed, ± standard error"
    view = Table(title=title, caption=caption, box=SIMPLE_HEAD)
    view.add_column("algorithm", no_wrap=True)
    view.add_column("accuracy [%]", no_wrap=True)
    for other in others:
        view.add_column(f"minus\n{other}", justify="right", no_wrap=True)
    view.add_column("pulses", justify="right")
    for name, entry in algorithms.items():
        gaps = [entry["paired"].get(other) for other in others]
        view.add_row(
            name,
            _percent(entry["mean"], entry["standard_deviation"], ""),
            *("" if g is None else _percent(g["difference"], g["standard_error"], "+") for g in gaps),
            f"{entry['pulses']:.2e}" if entry["pulses"] else "0",
        )
    return view


def _percent(value: float, error: float | None, sign: str) -> str:
    text = f"{100 * value:{sign}.2f}"
    return text if error is None else f"{text} ± {100 * error:.2f}"


def announce(console: Console, result: Mapping[str, Any], folder: str | os.PathLike[str]) -> None:
    """The result of one run."""
    console.print(
        f"test accuracy {result['test_accuracy']:.2%} after {result['epochs']} epochs "
        f"(best {result['best_test_accuracy']:.2%}, epoch {result['best_epoch']}); {result['seconds']:.1f} s",
        highlight=False,
    )
    for array, counts in result["arrays"].items():
        console.print(
            f"array {array}: {counts['up']:,} pulses up, {counts['down']:,} down "
            f"on {counts['cells']:,} cells, {counts['saturated']:,} of them at a bound",
            highlight=False,
        )
        if result["algorithm"] != "digital-sgd" and not counts["up"] + counts["down"]:
            console.print(
                f"array {array} got no pulse at all: the published thresholds and rates are for larger layers and "
                f"longer trainings. See `mho algorithms advise --algorithm {result['algorithm']} --layer OUTxIN`",
                style="yellow",
                highlight=False,
            )
    if result["clipped_fraction"]:
        console.print(f"clipped bit lines: {result['clipped_fraction']:.3%}", highlight=False)
    console.print(
        f"Results and plot: {folder}/result.json, {folder}/curves.png", highlight=False, soft_wrap=True
    )


def stopped(stop: Interrupted, comparison: bool) -> None:
    """Says how to go on after a signal, and leaves with the exit code of that signal."""
    how = "run the same command again" if comparison else f"mho train --out {stop.folder} --resume"
    typer.echo(f"stopped; the state is saved in {stop.folder}. To go on: {how}", err=True)
    raise typer.Exit(128 + stop.number)
