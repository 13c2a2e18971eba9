"""`mho calibrate`: the pulses that a device's symmetric points take, and the error that is left."""

import math
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from mho.base.errors import complaint
from mho.cli.options import AsJson, Settings, print_json


def calibrate(
    name: Annotated[
        str,
        Argument(metavar="[NAME_OR_FILE]", help="A preset, a law, or a .json or .toml file of a device."),
    ] = "linear",
    dw_min: Annotated[
        str,
        Option(
            metavar="A,B,...", help="Granularities to try [weight units].", show_default="the device's own"
        ),
    ] = "",
    pulses: Annotated[
        str, Option(metavar="N,N,...", help="Numbers of pulses to each cell.")
    ] = "250,500,1000,2000,4000,8000",
    schedule: Annotated[
        str, Option(help="cyclic: up, down, up, ...; stochastic: up or down at random.")
    ] = "cyclic",
    settings: Settings = None,
    start: Annotated[
        float | None,
        Option(help="Hidden weight of all cells before.", show_default="half-way to the lower bound"),
    ] = None,
    cells: Annotated[str, Option(metavar="OUTxIN", help="Size of an array.")] = "64x64",
    repeats: Annotated[int, Option(min=1, help="Arrays, each with cells of its own.")] = 4,
    tolerance: Annotated[float, Option(help="Mean error to reach [percent].")] = 1.0,
    seed: Annotated[int, Option(min=0, max=2**64 - 1, help="Of the drawn cells and of random pulses.")] = 0,
    out: Annotated[
        Path | None, Option(help="Folder of the results.", show_default="runs/calibrate/NAME")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Calibrate a simulated device by zero-shifting, and say what that costs and what it leaves.

    Pulses up and down in equal numbers drive a cell to its symmetric point, where both have the same size. The mean
    error over an array shrinks as exp(-dw_min G' n), so the number of pulses grows as 1/dw_min: finer devices take
    longer. What is left at last is about dw_min (cyclic), or sqrt(dw_min) for each cell (stochastic). The error is
    known because a simulation knows the true point; devices whose point repels are refused.

    The folder gets calibrate.json, calibrate.png and calibrate.pdf.

    Examples:

    - mho calibrate

    - mho calibrate linear --set response.c_lin=0.25 --set spread.tau=0.05 --dw-min 1e-2,1e-3,1e-4

    - mho calibrate ReRamES --schedule stochastic --pulses 100,1000,10000

    - mho calibrate my-device/device.json --tolerance 0.5 --json
    """
    from rich.console import Console

    from mho.calibration.sweep import sweep
    from mho.calibration.symmetric_points import CalibrationWarning
    from mho.cli.progress import Bars
    from mho.datasheet.named import lookup

    chosen = lookup(name, settings or [])
    device = chosen.single
    low = float(device.response.bounds()[0])
    first = (low / 2 if low > -float("inf") else -0.5) if start is None else start
    kind: Any = schedule
    steps = _numbers("--dw-min", dw_min, float) or [device.dw_min]
    counts = _numbers("--pulses", pulses, int)
    if schedule not in ("cyclic", "stochastic"):
        raise complaint(f"--schedule {schedule}", "there is no such schedule", "cyclic or stochastic")
    with warnings.catch_warnings(record=True) as caught, Bars(after=2.0) as bar:
        warnings.simplefilter("always", CalibrationWarning)
        found = sweep(
            device, steps, counts, kind, first, _shape(cells), repeats, tolerance / 100, seed, bar.show
        )
    console = Console(stderr=True, soft_wrap=True)
    for text in {str(w.message) for w in caught}:
        console.print(f"warning: {text}", style="yellow", highlight=False, markup=False)
    folder = out or Path("runs") / "calibrate" / chosen.name
    asked = {
        "device": device, "schedule": schedule, "start": first, "cells": cells, "repeats": repeats, "seed": seed,
        "tolerance": tolerance / 100,
    }  # fmt: skip
    data = _write(folder, asked, found)
    if as_json:
        print_json(data)
        return
    _show(Console(), found, chosen.name, schedule, tolerance, math.prod(_shape(cells)))
    typer.echo(f"written: {folder}/calibrate.json, calibrate.png, calibrate.pdf")


def _write(folder: Path, asked: dict[str, Any], found: Any) -> dict[str, Any]:
    from mho.base.config import to_dict
    from mho.base.files import make_folder, write_json
    from mho.base.provenance import provenance
    from mho.figures.calibration import draw
    from mho.figures.style import save

    data = {
        "settings": asked | {"device": to_dict(asked["device"])},
        "relative_to": {"weight": found.scale, "words": found.of},
        "rows": [row._asdict() for row in found.rows],
        "cells_without_point": found.missing,
        "pulses_needed": [{"dw_min": d, "pulses": n} for d, n in found.needed.items()],
    }
    write_json(make_folder(folder, f"--out {folder}") / "calibrate.json", data | provenance(), indent=1)
    save(draw(found, asked["tolerance"]), folder / "calibrate")
    return data


def _show(console: Any, found: Any, name: str, schedule: str, tolerance: float, cells: int) -> None:
    from mho.base.tables import table

    errors = [
        (f"{r.dw_min:.4g}", f"{r.n:,}", f"{100 * r.mean:.3g}", f"{100 * r.mean_std:.3g}", f"{r.cell:.3g}",
         f"{100 * r.average:.3g}")
        for r in found.rows
    ]  # fmt: skip
    needed = [
        (f"{dw_min:.4g}", f"{n:,.0f}", f"{n * dw_min:.3g}", f"{n * cells:.3g}")
        if n is not None
        else (f"{dw_min:.4g}", "not reached", "", "")
        for dw_min, n in found.needed.items()
    ]
    columns = "dw_min", ">pulses a cell", ">mean error [%]", ">± array to array", ">a cell's error"
    title = f"{name}, {schedule} pulses; errors of the mean are relative to {found.of}"
    console.print(table(*columns, ">mean error of averages [%]", rows=errors, title=title))
    columns_needed = "dw_min", f">pulses to {tolerance:g} %", ">times dw_min", ">pulses, whole array"
    console.print(table(*columns_needed, rows=needed))
    if found.missing:
        console.print(f"{found.missing:,} of the drawn cells have no symmetric point, and are left out.")


def _numbers(option: str, text: str, kind: type) -> list:
    """Return the numbers in a list with commas; whole ones may be written as 1e4."""
    try:
        values = [kind(float(part)) for part in text.split(",") if part.strip()]
    except ValueError:
        raise complaint(f"{option} {text}", "this is no list of numbers", "Needed: A,B,...") from None
    if not all(0 < value < float("inf") for value in values):
        raise complaint(f"{option} {text}", "all of them must be positive")
    return values


def _shape(text: str) -> tuple[int, int]:
    """Return (rows, columns) of OUTxIN."""
    try:
        out, n_in = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise complaint(f"--cells {text}", "this is no size", "Needed: OUTxIN", "such as 64x64") from None
    if out < 1 or n_in < 1:
        raise complaint(f"--cells {text}", "an array has at least one cell")
    return out, n_in
