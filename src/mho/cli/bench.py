"""`mho bench`: how fast this machine sends pulses."""

from typing import Annotated

from typer import Option

from mho.base.errors import complaint, did_you_mean


def bench(
    laws: Annotated[
        str, Option(metavar="A,B,...", help="constant, soft-bounds, exp-step, pow-step.")
    ] = "constant,soft-bounds,exp-step,pow-step",
    sigma_c2c: Annotated[
        float, Option("--sigma-c2c", min=0, help="Cycle-to-cycle noise, multiplicative [relative].")
    ] = 0.3,
    bl_management: Annotated[
        bool, Option("--bl-management", help="Shorten the trains, as a layer does by default.")
    ] = False,
    aggregate: Annotated[
        int, Option(min=0, help="Samples whose pulses are applied together; 0 sends each in its turn.")
    ] = 0,
    repetitions: Annotated[int, Option(min=1, help="Repetitions of each update, after a warm-up.")] = 7,
    threads: Annotated[int, Option(min=0, help="0 leaves the choice to mho.")] = 0,
    quick: Annotated[bool, Option("--quick", help="One small tile and 2 repetitions.")] = False,
) -> None:
    """Time the pulsed update of single tiles, and print a table.

    Trains of 31 slots, dw_min 0.001, gain spread 0.3, bounds +-0.6, lr 0.05 / q(0), x uniform in [0, 1], d
    normal with standard deviation 0.05. A time is the median of the repetitions, with its quartiles; a law is
    compiled outside the timer. Between laws compare the time of a pulse: pow-step has q(0) = 0.5 and gets
    twice as many. A cell-sample is one cell in one of the samples.

    The comparison with other programs is `make bench` in a clone of the repository.

    Examples:

    - mho bench

    - mho bench --laws soft-bounds --sigma-c2c 0 --threads 1
    """
    from rich.console import Console

    from mho.numerics import threads as pool
    from mho.testing import bench

    chosen = [name.strip() for name in laws.split(",")]
    for name in chosen:
        if name not in bench.LAWS:
            raise complaint(f"--laws {laws}", f"there is no {name!r}", did_you_mean(name, bench.LAWS))
    if threads:
        pool.set_threads(threads)
    shapes = [(32, 64, 4)] if quick else bench.SHAPES
    cases = [
        bench.Case(law, *shape, sigma_c2c, bl_management, aggregate) for shape in shapes for law in chosen
    ]
    rows = _measure(cases, 2 if quick else repetitions)
    Console().print(_table(rows, f"{pool.get_threads()} threads, sigma_c2c {sigma_c2c:g}"))


def _measure(cases, repetitions: int) -> list[tuple]:
    """[(case, seconds as `Spread`, pulses)], with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mho.testing import bench

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    rows = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(cases) * repetitions)
        for case in cases:
            bar.update(task, description=f"{case.law} {case.shape}")
            update = bench.TileUpdate(case)
            calls = bench.calls_needed(update, update.reset)
            seconds = []
            for _ in range(repetitions):
                seconds.append(bench.timed(update, update.reset, calls))
                bar.advance(task)
            update.reset()
            info = update()
            rows.append((case, bench.spread(seconds), info.up + info.down))
    return rows


def _table(rows: list[tuple], conditions: str):
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    view = Table(title=f"Pulsed updates, {conditions}", box=SIMPLE_HEAD)
    view.add_column("out x in,\nsamples", no_wrap=True)
    view.add_column("law", no_wrap=True)
    for name in ("ms", "quartiles", "pulses", "ns a\npulse", "cell-\nsamples\na ns"):
        view.add_column(name, justify="right", no_wrap=True)
    for case, t, pulses in rows:
        view.add_row(
            case.shape,
            case.law,
            f"{1e3 * t.median:.3g}",
            f"{1e3 * t.low:.3g}-{1e3 * t.high:.3g}",
            f"{pulses:.2e}",
            f"{1e9 * t.median / pulses:.2f}" if pulses else "",
            f"{case.out * case.n_in * case.samples / t.median / 1e9:.2f}",
        )
    return view
