"""`mho device fit`: a device from measured pulses."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from mho.base.errors import complaint
from mho.cli.options import AsJson, print_json


def fit(
    files: Annotated[
        list[Path],
        Argument(
            metavar="FILE [FILE]", help="One file with both directions, or one for up and one for down."
        ),
    ],
    law: Annotated[
        str,
        Option(help="A class of mho.responses in kebab-case; auto chooses, table takes the data themselves."),
    ] = "auto",
    out: Annotated[
        Path | None, Option(help="Folder of the result.", show_default="fit-NAME, after the first file")
    ] = None,
    span: Annotated[
        str | None,
        Option(
            "--range",
            metavar="LOW,HIGH",
            help="The measured values that w = -1 and w = +1 stand for.",
            show_default="lowest and highest of the data",
        ),
    ] = None,
    same_device: Annotated[
        bool,
        Option("--same-device", help="Several ramps are cycles of one device: no device-to-device spread."),
    ] = False,
    seed: Annotated[int, Option(min=0, help="Of the resampling behind intervals.")] = 0,
    columns: Annotated[
        str | None,
        Option(
            metavar="NAME=ROLE,...",
            help="What columns are: up, down, both, counter, time, voltage, polarity, cycle, device or skip.",
        ),
    ] = None,
    read_voltage: Annotated[float | None, Option(help="Of currents [V].")] = None,
    sheet: Annotated[str | None, Option(help="Of a workbook, or the array of a .npz or .mat file.")] = None,
    cycle: Annotated[int | None, Option(help="The only cycle that is taken.")] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Say what was understood, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a device to measured pulses: law, parameters, noise, symmetric point, and how sure each of them is.

    A file holds ramps, one column of reads for each, a read after each pulse of one direction (a column that rises
    is up); or a table: a row of conductances, a row of levels of the distribution function, and a row of steps for
    each level. What was understood is printed first. The folder gets device.json, report.json, fit.png and fit.pdf.

    Examples:

    - mho device fit gong_et_al.csv

    - mho device fit dG_increasing.txt dG_decreasing.txt --law table --out ecram

    - mho device fit ramps.csv --law soft-bounds --range 1e-6,9e-6

    - mho device fit lab.xlsx --columns "G_up=up,Nr=counter" --dry-run

    - mho train --device ecram/device.json
    """
    from rich.console import Console

    from mho.cli.fit_text import show, understood
    from mho.cli.progress import Bars
    from mho.fit.fitting import fit as fit_device
    from mho.fit.read import read
    from mho.fit.report import as_dict, write

    if len(files) > 2:
        raise complaint("mho device fit", f"{len(files)} files", "One file, or one for up and one for down")
    ends = _range(span)
    roles = _roles(columns)
    console = Console()
    raw = read(files, roles, read_voltage, sheet, cycle)
    if raw.columns and not as_json:
        understood(console, raw)
    if dry_run:
        if as_json:
            print_json({"columns": [c._asdict() for c in raw.columns], "notes": raw.notes})
        return
    folder = out or Path(f"fit-{files[0].stem}")
    with Bars(after=2.0) as bar:
        result = fit_device(
            *files, law=law, span=ends, same_device=same_device, key=seed, watch=bar.show,
            columns=roles, read_voltage=read_voltage, sheet=sheet, cycle=cycle,
        )  # fmt: skip
        write(result, folder)
    if as_json:
        print_json(as_dict(result))
        return
    show(console, result)
    typer.echo(f"written: {folder}/device.json, report.json, fit.png, fit.pdf")
    typer.echo(f"to use it: mho train --device {folder}/device.json")


def _range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise complaint(
            f"--range {text}", "this is no range", "Needed: LOW,HIGH", "such as 1e-6,9e-6"
        ) from None
    if not low < high:
        raise complaint(f"--range {text}", "low must be less than high")
    return low, high


def _roles(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    pairs = [part.rsplit("=", 1) for part in text.split(",")]
    if any(len(p) != 2 or not p[0] for p in pairs):
        raise complaint(
            f"--columns {text}", "this says no roles", "Needed: NAME=ROLE,...", "such as G_up=up,Nr=counter"
        )
    return {name.strip(): role.strip() for name, role in pairs}
