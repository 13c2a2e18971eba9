"""`mho bench`: the time of pulsed updates on this machine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from typer import Option

from mho.base.errors import complaint, did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

    from mho.testing.bench import Case, Spread


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

    Trains have 31 slots, dw_min is 0.001, the gain spread 0.3, the bounds +-0.6, lr 0.05 / q(0), x uniform in
    [0, 1], d normal with standard deviation 0.05. A time is the median of the repetitions, with its
    quartiles. A law is compiled outside the timer. Between laws compare the time of a pulse: pow-step has
    q(0) = 0.5 and gets twice as many pulses. A cell-sample is one cell in one of the samples.

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


def _measure(cases: "Sequence[Case]", repetitions: int) -> "list[tuple[Case, Spread, int]]":
    """Return (case, seconds, pulses) of each case, with a bar on a terminal."""
    from mho.cli.progress import Bars
    from mho.testing import bench

    rows, done = [], 0
    with Bars() as bar:
        for case in cases:
            update = bench.TileUpdate(case)
            calls = bench.calls_needed(update, update.reset)
            seconds = []
            for _ in range(repetitions):
                bar.show(f"{case.law} {case.shape}", done, len(cases) * repetitions)
                seconds.append(bench.timed(update, update.reset, calls))
                done += 1
            update.reset()
            info = update()
            rows.append((case, bench.spread(seconds), info.up + info.down))
    return rows


def _table(rows: "list[tuple[Case, Spread, int]]", conditions: str) -> "Table":
    from mho.base.tables import table

    numbers = (">ms", ">quartiles", ">pulses", ">ns a\npulse", ">cell-\nsamples\na ns")
    title = f"Pulsed updates, {conditions}"
    view = table("out x in,\nsamples", "law", *numbers, title=title, unbroken=("law",))
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
