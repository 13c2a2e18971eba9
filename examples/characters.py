"""Text as numbers, and the comparison of algorithms on it: what the two examples with characters share."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from resumable import Run, write_results
from rich.console import Console
from torch.nn import functional

import mho
from mho import MhoError, algorithms, complaint
from mho.data import base_folder
from mho.training import Interrupted

# M. Okabe and K. Ito, Color Universal Design, 2008
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


class Text:
    """A text as numbers of its characters, cut in two: the last tenth is held out.

    Args:
        file: name of the file; folder: where it is, or the folder above `text`; None: the variable MHO_DATA.
    Raises: MhoError if it is not there.
    """

    def __init__(self, file: str, folder: str | None) -> None:
        base = base_folder(folder)
        path = next((p for p in (base / file, base / "text" / file) if p.is_file()), None)
        if path is None:
            what = f"there is no {file} in {base} or {base / 'text'}"
            raise complaint(f"--data {base}", what, fix="put it there, or set MHO_DATA to its folder")
        text = path.read_text(encoding="utf-8")
        self.vocabulary = "".join(sorted(set(text)))
        number = {character: n for n, character in enumerate(self.vocabulary)}
        ids = torch.tensor([number[character] for character in text])
        cut = len(ids) * 9 // 10
        self.train, self.held_out = ids[:cut], ids[cut:]


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean over all characters [nats]."""
    return functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def options(description: str | None, known: Iterable[str], **defaults: Any) -> argparse.ArgumentParser:
    """The options of an example that trains with several algorithms; `defaults` are theirs."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of the text [the variable MHO_DATA, else ./data]")
    some = f"what to train, one after the other, of: {', '.join(known)} [%(default)s]"
    add("--algorithms", default=defaults["algorithms"], metavar="A,B", help=some)
    add("--steps", type=int, default=defaults["steps"], help="steps; more than before goes on [%(default)s]")
    add(
        "--every", type=int, default=defaults["every"], help="steps between points of the curve [%(default)s]"
    )
    add("--batch", type=int, default=defaults["batch"], help="texts side by side [%(default)s]")
    add("--length", type=int, default=defaults["length"], help="characters of each in a step [%(default)s]")
    add("--lr", type=float, help="learning rate of all algorithms [each its own, see the file]")
    add("--seed", type=int, default=0, help="of weights, cells and noise [%(default)s]")
    add(
        "--out",
        type=Path,
        default=Path(defaults["out"]),
        metavar="DIR",
        help="folder of the runs [%(default)s]",
    )
    add("--results", type=Path, metavar="FILE", help="the results as JSON [results.json in --out]")
    return parser


DEVICE = mho.Device(
    mho.responses.Power(tau=0.6, gamma_res=1.0),
    dw_min=1e-3, sigma_c2c=0.3, c2c="multiplicative", spread={"gain": 0.3},
)  # fmt: skip
"""1200 states, whose steps shrink towards the bounds: the device of `mho train`."""

RESIDUAL = algorithms.ResidualLearning(
    fast_lr=1.0, scale_fast_lr=True, transfer_lr=0.1, scale_transfer_lr=False
)
"""P learns with the learning rate of the optimizer, and a tenth of each column goes over when it is read."""


def train_all(
    args: argparse.Namespace, about: dict[str, Any], known: Iterable[str], make: Callable[[str], Run]
) -> dict[str, dict[str, Any]]:
    """Trains with each algorithm in a folder of its own, and writes the curves.

    A results file that exists keeps what it says of other algorithms.

    about: what the results file says of the run; known: names of algorithms; make: one of them -> its run.
    Raises: MhoError for an algorithm that is not known.
    """
    names = args.algorithms.split(",")
    for name in names:
        if name not in known:
            raise complaint(f"--algorithms {name}", f"there is no such; known: {', '.join(known)}")
    results = args.results or args.out / "results.json"
    found = json.loads(results.read_text())["algorithms"] if results.exists() else {}
    for name in names:
        run = make(name)
        rows = run.train(args.out / f"{name}-seed{args.seed}", args.steps, args.every)
        found[name] = {
            "config": run.config,
            "held_out_loss": rows[-1]["held_out_loss"],
            "processor_ms_per_step": run.milliseconds(),
            "curve": rows,
        }
        write_results(results, about | {"algorithms": found})
    figure = drawn({name: run["curve"] for name, run in found.items()})
    for suffix in (".png", ".pdf"):
        figure.savefig(results.with_name(f"curves{suffix}"), dpi=200)
    Console().print(f"Results: {results}, {results.with_name('curves.png')}", highlight=False, soft_wrap=True)
    return found


def drawn(curves: dict[str, list[dict[str, Any]]]) -> Figure:
    """The loss on held-out text by step."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for (name, rows), colour in zip(curves.items(), COLOURS, strict=False):
        steps, losses = [row["step"] for row in rows], [row["held_out_loss"] for row in rows]
        axes.plot(steps, losses, color=colour, label=name)
    axes.set(xlabel="steps", ylabel="cross-entropy per character [nats], held-out text")
    axes.legend()
    return figure


def run_as_script(main: Callable[[], None]) -> None:
    """Runs it; what a user can mend, and Ctrl-C, end it with one sentence."""
    try:
        main()
    except MhoError as error:
        sys.exit(str(error))
    except Interrupted as stop:
        sys.exit(f"Stopped; {stop.folder} holds a checkpoint of this step. The same command goes on.")
