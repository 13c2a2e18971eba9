"""`mho train`: one run, or a comparison of several algorithms over several seeds."""

import time
from pathlib import Path
from typing import Annotated

from typer import Context, Option

from mho.base.errors import complaint

DATA, MODEL, LOOP, HARDWARE, RUN = "Data", "Network", "Training", "Hardware", "Run"


def train(
    context: Context,
    data: Annotated[
        str, Option(help="digits (in the package), mnist or fashion_mnist.", rich_help_panel=DATA)
    ] = "digits",
    data_dir: Annotated[
        Path | None,
        Option(
            help="Folder of the data sets, or of this one; `mho data get` fills it.",
            show_default="$MHO_DATA, else data",
            rich_help_panel=DATA,
        ),
    ] = None,
    network: Annotated[
        str,
        Option(help="fcn, fully connected, or lenet, the papers' two convolutions.", rich_help_panel=MODEL),
    ] = "fcn",
    hidden: Annotated[
        str, Option(help='Widths of the hidden layers of fcn; "" for none.', rich_help_panel=MODEL)
    ] = "64",
    activation: Annotated[str, Option(help="sigmoid, tanh or relu, in fcn.", rich_help_panel=MODEL)] = "tanh",
    epochs: Annotated[int, Option(help="Passes over the training images.", rich_help_panel=LOOP)] = 12,
    batch_size: Annotated[int, Option(help="Images a step.", rich_help_panel=LOOP)] = 10,
    lr: Annotated[float, Option(help="Learning rate [weight units / gradient].", rich_help_panel=LOOP)] = 0.1,
    lr_step: Annotated[int, Option(help="Epochs between decays; 0 is never.", rich_help_panel=LOOP)] = 8,
    lr_decay: Annotated[float, Option(help="Factor on lr at each decay.", rich_help_panel=LOOP)] = 0.5,
    algorithm: Annotated[
        str | None,
        Option(
            help="A class of mho.algorithms in kebab-case, or digital: plain torch without a crossbar.",
            show_default="residual-learning",
            rich_help_panel=HARDWARE,
        ),
    ] = None,
    device: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="A .json or .toml file of a Device, such as `mho device fit` writes; before --response and --set.",
            show_default="1200 states, power law",
            rich_help_panel=HARDWARE,
        ),
    ] = None,
    response: Annotated[
        str | None,
        Option(
            help="A class of mho.responses in kebab-case: the law of one pulse.",
            show_default="power",
            rich_help_panel=HARDWARE,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Any field of the hardware, may be repeated: device.response.tau=0.6, device.dw_min=1e-3, "
            "device.spread.gain=0.1, algorithm.gamma=0.4, io.sigma_out=0.1, pulses=Expected.",
            rich_help_panel=HARDWARE,
        ),
    ] = None,
    compare: Annotated[
        str | None,
        Option(
            metavar="A,B,...",
            help="Train each of these algorithms with each seed, and print a table. The same command again "
            "goes on where it stopped.",
            rich_help_panel=RUN,
        ),
    ] = None,
    seeds: Annotated[
        int, Option(min=1, help="Seeds of a comparison, from --seed upwards.", rich_help_panel=RUN)
    ] = 3,
    seed: Annotated[
        int, Option(help="Of initial weights, order of images and hardware noise.", rich_help_panel=RUN)
    ] = 0,
    config: Annotated[
        Path | None,
        Option(help="A .json or .toml file to start from, such as a run's config.json.", rich_help_panel=RUN),
    ] = None,
    out: Annotated[
        Path | None,
        Option(help="Folder of the run.", show_default="a new one below runs", rich_help_panel=RUN),
    ] = None,
    resume: Annotated[
        bool,
        Option("--resume", help="Go on with the run in --out, from its checkpoint.", rich_help_panel=RUN),
    ] = False,
    checkpoint_every: Annotated[
        int, Option(min=1, help="Epochs between two checkpoints.", rich_help_panel=RUN)
    ] = 1,
    threads: Annotated[int, Option(help="0 leaves the choice to torch and mho.", rich_help_panel=RUN)] = 0,
    where: Annotated[
        str, Option(help="cpu, or cuda: on a GPU, which pays for wide layers.", rich_help_panel=RUN)
    ] = "cpu",
    deterministic: Annotated[
        bool, Option("--deterministic", help="The same bits for any number of threads.", rich_help_panel=RUN)
    ] = False,
    quiet: Annotated[bool, Option("--quiet", help="Print the result only.", rich_help_panel=RUN)] = False,
) -> None:
    """Train a network on a simulated crossbar and write the run to a folder.

    The folder gets config.json (all settings), metrics.csv (a line an epoch), result.json, curves.png,
    curves.pdf and checkpoint.pt. Ctrl-C stops after the present batch; --resume goes on from there, bit for
    bit. Settings come from the defaults, then --config, then the options, then --set.

    Examples:

    - mho train

    - mho train --algorithm analog-sgd --response soft-bounds --set device.response.tau_max=0.6

    - mho train --data mnist --data-dir data --epochs 30 --out runs/mnist

    - mho train --data mnist --network lenet --batch-size 8 --lr 0.05 --lr-step 0 --epochs 10

    - mho train --out runs/mnist --resume

    - mho train --device fit-gong/device.json --algorithm tiki-taka

    - mho train --compare digital,residual-learning,analog-sgd --seeds 3
    """
    from rich.console import Console

    from mho.base.config import from_dict, read
    from mho.cli.choose import choose, choose_several
    from mho.cli.progress import watcher
    from mho.cli.train_text import announce, stopped, table
    from mho.training import compare as compare_runs
    from mho.training.folder import RunFolder
    from mho.training.loop import Interrupted, algorithm_name
    from mho.training.loop import train as train_run
    from mho.training.spec import RunSpec

    console = Console()
    if resume and out is None:
        raise complaint("--resume", "no folder is named", fix="add --out and the folder of the run")
    if resume and not compare:
        written = RunFolder(str(out)).config()
    else:
        written = read(config) if config else {}
    chosen = {
        "data": data.replace("-", "_"),
        "data_dir": str(data_dir),
        "network": network,
        "hidden": _widths(hidden),
        "activation": activation,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "lr_step": lr_step,
        "lr_decay": lr_decay,
        "seed": seed,
        "threads": threads,
        "deterministic": deterministic,
    }
    base = from_dict(written, kind=RunSpec).replace(
        **{name: value for name, value in chosen.items() if _was_given(context, name)}
    )
    settings = settings or []
    try:
        if compare:
            specs = choose_several(base, compare.split(","), response, settings, device)
            out = out or Path("runs") / f"compare-{base.data}"
            summary = compare_runs(
                specs,
                range(base.seed, base.seed + seeds),
                out,
                watch=None if quiet else lambda title: watcher(console, title),
                checkpoint_every=checkpoint_every,
                where=where,
            )
            console.print(table(summary))
            console.print(f"Results and plot: {out}/compare.json, {out}/compare.png", soft_wrap=True)
            return
        if algorithm or response or settings or device or "hardware" not in written:
            base = choose(base, algorithm, response, settings, device)
        name = algorithm_name(base)
        out = out or Path("runs") / f"{base.data}-{name}-seed{base.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        watch = None if quiet else watcher(console, f"{name}, seed {base.seed}")
        result = train_run(
            base, out, resume=resume, watch=watch, checkpoint_every=checkpoint_every, where=where
        )
        announce(console, result, out)
    except Interrupted as stop:
        stopped(stop, comparison=compare is not None)


def _was_given(context: Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise complaint(
            f"--hidden {text}", "these are no widths", "Needed: numbers such as 256,128"
        ) from None
