"""`mho train`: one run, or a comparison of several algorithms over several seeds."""

import time
from pathlib import Path
from typing import Annotated, Any

from typer import Context, Option

from mho.base.errors import complaint
from mho.cli.options import values_of, with_fields
from mho.training.plan import RunPlan

HARDWARE, RUN = "Hardware", "Run"
PANELS: dict[str, tuple[str, ...]] = {
    "Data": ("data", "data_dir"),
    "Network": ("network", "hidden", "activation"),
    "Training": (),
    HARDWARE: (),
    RUN: ("seed", "threads", "deterministic"),
}
NO_OPTIONS = ("hardware",)  # --algorithm, --device, --response and --set build it


@with_fields(RunPlan, PANELS, rest="Training", without=NO_OPTIONS)
def train(
    context: Context,
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
    config: Annotated[
        Path | None,
        Option(help="A .json or .toml file to start from, such as a run's config.json.", rich_help_panel=RUN),
    ] = None,
    folder: Annotated[
        Path | None,
        Option("--out", help="Folder of the run.", show_default="a new one below runs", rich_help_panel=RUN),
    ] = None,
    resume: Annotated[
        bool,
        Option("--resume", help="Go on with the run in --out, from its checkpoint.", rich_help_panel=RUN),
    ] = False,
    checkpoint_every: Annotated[
        int, Option(min=1, help="Epochs between two checkpoints.", rich_help_panel=RUN)
    ] = 1,
    where: Annotated[
        str, Option(help="cpu, or cuda: on a GPU, which pays for wide layers.", rich_help_panel=RUN)
    ] = "cpu",
    quiet: Annotated[bool, Option("--quiet", help="Print the result only.", rich_help_panel=RUN)] = False,
    **fields: Any,
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

    from mho.base.config import read, record_in
    from mho.base.signals import Interrupted
    from mho.cli.train_text import announce, compared, stopped, watcher
    from mho.training.choice import choose, choose_several
    from mho.training.comparison import compare as compare_runs
    from mho.training.folder import CONFIG, RunFolder
    from mho.training.loop import train as train_run
    from mho.training.spec import RunSpec, algorithm_name

    console = Console()
    if resume and folder is None:
        raise complaint("--resume", "no folder is named", fix="add --out and the folder of the run")
    written: dict[str, Any] = {}
    if resume and not compare:
        written, config = RunFolder(str(folder)).config(), Path(str(folder)) / CONFIG
    elif config:
        written = read(config)
    given = values_of(RunPlan, context, fields)
    if "data" in given:
        given["data"] = given["data"].replace("-", "_")
    base = (record_in(config, kind=RunSpec) if config else RunSpec()).replace(**given)
    settings = settings or []
    rest: dict[str, Any] = {"checkpoint_every": checkpoint_every, "where": where}
    try:
        if compare:
            specs = choose_several(base, compare.split(","), response, settings, device)
            out = folder or Path("runs") / f"compare-{base.data}"
            watch = None if quiet else lambda title: watcher(console, title)
            summary = compare_runs(specs, range(base.seed, base.seed + seeds), out, watch=watch, **rest)
            console.print(compared(summary))
            console.print(f"Results and plot: {out}/compare.json, {out}/compare.png", soft_wrap=True)
            return
        if algorithm or response or settings or device or "hardware" not in written:
            base = choose(base, algorithm, response, settings, device)
        name = algorithm_name(base)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        out = folder or Path("runs") / f"{base.data}-{name}-seed{base.seed}-{stamp}"
        listener = None if quiet else watcher(console, f"{name}, seed {base.seed}")
        announce(console, train_run(base, out, resume=resume, watch=listener, **rest), out)
    except Interrupted as stop:
        stopped(stop, comparison=compare is not None)
