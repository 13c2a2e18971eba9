"""Everything that `mho train` prints: progress, the result of a run, the table of a comparison."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from mho.base.signals import Interrupted
from mho.base.tables import table
from mho.cli.progress import Bars
from mho.training.session import Row, Session
from mho.training.spec import BASELINES

if TYPE_CHECKING:
    from rich.table import Table


def watcher(console: Console, title: str) -> "TrainingBar | EpochLines":
    """Return the listener to a training that suits this console."""
    return TrainingBar(console, title) if console.is_terminal else EpochLines(console, title)


class TrainingBar:
    """A bar over all batches of a training, with the running loss and accuracy."""

    def __init__(self, console: Console, title: str) -> None:
        self.bars, self.title, self.tested = Bars(console=console), title, ""

    def batch(self, session: Session) -> None:
        """Show how far the training is."""
        done, total = session.epoch * session.batches + session.batch, session.spec.epochs * session.batches
        loss, accuracy = session.loss_sum / session.seen, session.hits / session.seen
        self.bars.show(self.title, done, total, f"loss {loss:.3f}  accuracy {accuracy:.1%}{self.tested}")

    def epoch(self, session: Session, row: Row) -> None:
        """Keep the accuracy on the test images for the bar."""
        self.tested = f"  test {row['test_accuracy']:.1%}"

    def close(self) -> None:
        """Remove the bar."""
        self.bars.close()


class EpochLines:
    """A line of text for each epoch of a training."""

    def __init__(self, console: Console, title: str) -> None:
        self.console, self.title = console, title

    def batch(self, session: Session) -> None:
        """Say nothing."""

    def epoch(self, session: Session, row: Row) -> None:
        """Print the epoch's losses, accuracies and time."""
        text = (
            f"{self.title}  epoch {row['epoch']:3.0f}  loss {row['train_loss']:.4f} (test {row['test_loss']:.4f})  "
            f"accuracy {row['train_accuracy']:.2%} (test {row['test_accuracy']:.2%})  {row['seconds']:.1f} s"
        )
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Do nothing."""


def compared(summary: Mapping[str, Any]) -> "Table":
    """Return the comparison of `mho.training.compare` as a table, accuracies in percent, differences in points."""
    algorithms = summary["algorithms"]
    n = len(summary["seeds"])
    paired = {other for entry in algorithms.values() for other in entry["paired"]}
    others = [name for name in BASELINES if name in paired]
    rows = []
    for name, entry in algorithms.items():
        gaps = [entry["paired"].get(other) for other in others]
        differences = ["" if g is None else _percent(g["difference"], g["standard_error"], "+") for g in gaps]
        pulses = f"{entry['pulses']:.2e}" if entry["pulses"] else "0"
        rows.append((name, _percent(entry["mean"], entry["standard_deviation"], ""), *differences, pulses))
    return table(
        *("algorithm", ">accuracy [%]", *(f">minus\n{other}" for other in others), ">pulses"),
        rows=rows,
        title=f"Test accuracy, {n} seed{'s' if n > 1 else ''}",
        caption="mean ± standard deviation over seeds; differences in points, paired by seed, ± standard error",
    )


def _percent(value: float, error: float | None, sign: str) -> str:
    text = f"{100 * value:{sign}.2f}"
    return text if error is None else f"{text} ± {100 * error:.2f}"


def announce(console: Console, result: Mapping[str, Any], folder: str | os.PathLike[str]) -> None:
    """Print the result of one run."""
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
    """Say how to go on after a signal, and leave with the exit code of that signal."""
    words = "run the same command again" if comparison else f"mho train --out {stop.folder} --resume"
    typer.echo(f"stopped; the state is saved in {stop.folder}. To go on: {words}", err=True)
    raise typer.Exit(128 + stop.number)
