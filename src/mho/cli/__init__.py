"""The command `mho`. This module imports nothing heavy, so that help comes at once."""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: idle OpenMP threads must not spin

import typer

from mho.base.errors import MhoError
from mho.cli import algorithms, bench, calibrate, data, device, diagnose, papers, train

app = typer.Typer(
    help="Train neural networks on simulated resistive crossbars.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("diagnose")(diagnose.diagnose)
app.command("calibrate")(calibrate.calibrate)
app.command("bench")(bench.bench)
app.add_typer(data.app, name="data")
app.add_typer(device.app, name="device")
app.add_typer(algorithms.app, name="algorithms")
app.add_typer(papers.app, name="papers")


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the full traceback of an error; works anywhere."),
) -> None:
    pass


def main(words: list[str] | None = None) -> None:
    """Runs the command line; an `MhoError` becomes one line on stderr and exit code 2."""
    words = sys.argv[1:] if words is None else words
    debug = "--debug" in words
    try:
        app([word for word in words if word != "--debug"], prog_name="mho")
    except MhoError as error:
        if debug:
            raise
        from rich.console import Console

        console = Console(stderr=True, soft_wrap=True)
        console.print(f"error: {error}", style="red", highlight=False, markup=False)
        sys.exit(2)
