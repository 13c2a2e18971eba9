"""`mho device`: what devices there are, and what each of them is, in numbers and as a figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from mho.cli.fit import fit
from mho.cli.options import AsJson, Settings, print_json

if TYPE_CHECKING:
    from mho.datasheet.named import NamedDevice
    from mho.device.device import Device

app = typer.Typer(help="List devices and laws, show one in numbers, plot it, fit one.", no_args_is_help=True)
app.command("fit")(fit)

Name = Annotated[
    str, Argument(metavar="NAME_OR_FILE", help="A preset, a law, or a .json or .toml file of a device.")
]
Seed = Annotated[int, Option(min=0, max=2**64 - 1, help="Of the drawn cells and their noise.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the presets and the laws: what `show` and `plot` take.

    Examples:

    - mho device list

    - mho device list --json
    """
    from rich.console import Console
    from rich.text import Text

    from mho.base.registry import names
    from mho.cli.cell_text import entry_of, rows_of
    from mho.cli.device_text import grid, law_entry, law_row
    from mho.presets import PRESETS
    from mho.responses.base import Response

    found = [entry_of(name, preset.device, preset.source) for name, preset in PRESETS.items()]
    known = [law_entry(name, law) for name, law in names(Response).items()]
    if as_json:
        print_json({"presets": found, "laws": known})
        return
    console = Console()
    if found:
        columns = ("preset", "law", "dw_min", "states", "bounds", "w_sp", "c2c", "source")
        n = 8 if console.width >= 120 else 6  # a narrow terminal has no room for all
        table = grid(
            *columns[:n],
            title="Presets: mho device show NAME explains one",
            last=(n == 8) * (console.width - 102),
        )
        for entry in found:
            for row in rows_of(entry):
                table.add_row(*map(Text, row[:n]))
        console.print(table)
    table = grid(
        "law", "size of a pulse in dw_min", "symmetric point by default", title="Laws, in the default device"
    )
    for entry in known:
        table.add_row(*map(Text, law_row(entry)), end_section=True)
    console.print(table)


@app.command()
def show(name: Name, settings: Settings = None, seed: Seed = 0, as_json: AsJson = False) -> None:
    """Explain one device: every field, and the numbers that follow from them. Of a cell of several devices: its
    rules, its parts, and each different device.

    Number of states, steps, bounds, symmetric points and how fast cells reach them, for the nominal cell; means
    and standard deviations over 200 x 200 drawn cells. In JSON, null stands for what is infinite or absent.

    Examples:

    - mho device show soft-bounds

    - mho device show ReRamES --set sigma_c2c=0

    - mho device show power --set response.gamma_res=2 --set spread.gain=0.3 --json

    - mho device show PCMPair --set refresh_every=10 --set device.dw_min=0.02

    - mho device show runs/mnist/config.json
    """
    from rich.console import Console

    from mho.base.config import to_dict
    from mho.cli.cell_text import print_cell, shown_as_json
    from mho.cli.device_text import print_device
    from mho.datasheet.named import lookup
    from mho.datasheet.numbers import measure
    from mho.device.composed import ComposedCell

    chosen = lookup(name, settings or [])
    if isinstance(chosen.device, ComposedCell):
        if as_json:
            print_json(shown_as_json(chosen, chosen.device, seed))
        else:
            print_cell(Console(), chosen, chosen.device, seed)
        return
    portrait = measure(chosen.device, seed)
    if as_json:
        head = {"name": chosen.name, "source": chosen.source, "note": chosen.note}
        print_json(head | {"device": to_dict(chosen.device)} | portrait.as_dict())
        return
    print_device(Console(), chosen, portrait)


@app.command()
def plot(
    name: Name,
    settings: Settings = None,
    out: Annotated[
        Path | None,
        Option(
            help="A .png, .pdf or .svg file; a name without suffix gives .png and .pdf.",
            show_default="device-NAME.png and .pdf",
        ),
    ] = None,
    title: Annotated[str | None, Option(help='A line above; "" for none.', show_default="the name")] = None,
    seed: Seed = 0,
) -> None:
    """Draw one device as a figure for print, 7.2 inches wide.

    a, the size of a pulse against the weight, with 40 drawn cells; b, F and G; c, R = G/F with the symmetric
    points; d, cells under ramps of pulses; e, their steps up and down; f, their symmetric points. In Python
    mho.datasheet.panels draws each into axes of yours.

    Examples:

    - mho device plot soft-bounds --set spread.tau_max=0.2 --set spread.tau_min=0.2

    - mho device plot ReRamES --out figures/reram.svg --title ""

    - mho device plot fitted.json --out fitted
    """
    from mho.datasheet import draw
    from mho.datasheet.figure import sketch
    from mho.datasheet.named import lookup
    from mho.datasheet.numbers import measure
    from mho.figures.style import check_suffix, save

    chosen = lookup(name, settings or [])
    device, which = _drawn(chosen)
    for path in (paths := _paths(chosen, out)):
        check_suffix(path)
    heading = f"{which}: {sketch(device)}" if title is None else title
    figure = draw(measure(device, seed), heading)
    for path in paths:
        save(figure, path)
        typer.echo(f"written: {path}")


def _drawn(chosen: "NamedDevice") -> "tuple[Device, str]":
    """Return the device of the figure, and its name: for a cell, the device that all of its parts are."""
    from mho.device.composed import ComposedCell, alike

    if isinstance(chosen.device, ComposedCell) and len(groups := alike(chosen.device.leaves())) == 1:
        [(device, leaves)] = groups
        return device, f"{chosen.name}, each of {', '.join(leaf.name for leaf in leaves)}"
    return chosen.single, chosen.name


def _paths(chosen: "NamedDevice", out: Path | None) -> list[Path]:
    stem = out or Path(f"device-{chosen.name}")
    return [stem] if out is not None and out.suffix else [Path(f"{stem}{end}") for end in (".png", ".pdf")]
