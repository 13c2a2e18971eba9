"""The command `mho`: each verb is a module that turns options into calls of the library.

    mho train | diagnose | calibrate | bench
    mho data get | check          mho device list | show | plot | fit
    mho algorithms list | show | advise          mho papers list | run | plot | report

The modules:

    train, diagnose, calibrate, bench, data, device, algorithms, papers: verbs, or groups of verbs
    advise, fit      verbs inside a group
    train_text, device_text      the output of those verbs
    catalogue    docstrings in parts, joined with fields
    options      options that follow from a record, options of several verbs, JSON for scripts
    words        errors of the library in the words of the command line
    progress     the bars; tables are in `mho.base.tables`

Rules of the room. No science: a verb parses, calls the library and prints. A module imports at its top what
typer needs to print help, and inside its function what the work needs, so that `--help` never waits for torch
or matplotlib. An error is one line on stderr and exit code 2; the library raises it in Python's words, and
`main` puts the options in their place. Results go to stdout, progress and warnings to stderr. A verb that
prints numbers has `--json`.

To add a verb: write a function with typed options and a docstring that ends with examples into a module of
its own, and add it to `app` below. Name a parameter as the argument of the library that it is handed to; then
errors name the option by themselves. An option of `mho train` that belongs to the run is a field of
`mho.training.plan.RunPlan`, and nothing else.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: idle OpenMP threads must not spin

import typer

from mho.base.errors import MhoError
from mho.cli import algorithms, bench, calibrate, data, device, diagnose, papers, train
from mho.cli.words import flags_of, spoken

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
    """Run the command line; an `MhoError` becomes one line on stderr and exit code 2."""
    words = sys.argv[1:] if words is None else words
    command = typer.main.get_command(app)
    try:
        command([word for word in words if word != "--debug"], prog_name="mho")
    except MhoError as error:
        if "--debug" in words:
            raise
        from rich.console import Console

        text = f"error: {spoken(str(error), flags_of(command, words))}"
        Console(stderr=True, soft_wrap=True).print(text, style="red", highlight=False, markup=False)
        sys.exit(2)
