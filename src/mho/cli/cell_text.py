"""The tables that `mho device` prints of cells made of several devices."""

from typing import Any

from rich.console import Console

from mho.base.config import to_dict
from mho.cli.catalogue import describe
from mho.cli.device_text import (
    WEIGHT,
    device_entry,
    device_row,
    fields_of,
    grid,
    number,
    print_head,
    print_law,
    print_rows,
    print_tables,
)
from mho.datasheet.cell_numbers import cell_numbers
from mho.datasheet.named import NamedDevice
from mho.datasheet.numbers import measure
from mho.device.composed import ComposedCell, Leaf, alike
from mho.device.device import Device

COLUMNS = ("law", "dw_min", "states", "bounds", "w_sp", "c2c")


def entry_of(name: str, device: Device | ComposedCell, source: str) -> dict[str, Any]:
    """Return a device or a cell as `mho device list --json` gives it; a cell has "parts", entries themselves."""
    if isinstance(device, Device):
        return device_entry(name, device, source)
    parts = [{"factor": leaf.factor} | device_entry(leaf.name, leaf.device) for leaf in device.leaves()]
    numbers = cell_numbers(device).as_dict()
    of_parts: dict[str, Any] = {
        "moves": None,
        "symmetric": None,
        "points": [],
        "sigma_c2c": None,
        "c2c": None,
    }
    head = {"name": name, "law": type(device).__name__, "dw_min": numbers.pop("granularity")}
    return head | numbers | of_parts | {"source": source, "parts": parts}


def rows_of(entry: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the lines of the table of presets: of a cell one for itself, and one for equal devices in it."""
    if "parts" not in entry:
        return [device_row(entry)]
    e, parts = entry, entry["parts"]
    bounds = f"{number(e['lower'], '-infinite')} .. {number(e['upper'])}"
    head = e["name"], f"{e['law']} of {len(parts)}", number(e["dw_min"]), number(e["states"]), bounds, "", ""
    rows: dict[tuple[str, ...], list[str]] = {}
    for part in parts:
        rows.setdefault(device_row(part)[1:], []).append(part["name"])
    return [(*head, e["source"]), *(("  " + ", ".join(names), *row) for row, names in rows.items())]


def shown_as_json(chosen: NamedDevice, cell: ComposedCell, seed: int) -> dict[str, Any]:
    """Return all of `mho device show --json` for a cell."""
    portraits = [(leaves, measure(device, seed)) for device, leaves in alike(cell.leaves())]
    parts = {
        leaf.name: {"name": leaf.name, "factor": leaf.factor, "device": to_dict(leaf.device)}
        | portrait.as_dict()
        for leaves, portrait in portraits
        for leaf in leaves
    }
    head = {"name": chosen.name, "source": chosen.source, "note": chosen.note, "cell": to_dict(cell)}
    return head | cell_numbers(cell).as_dict() | {"parts": [parts[leaf.name] for leaf in cell.leaves()]}


def print_cell(console: Console, chosen: NamedDevice, cell: ComposedCell, seed: int) -> None:
    """Print all of `mho device show` for a cell: its rules, its parts, and each different device."""
    leaves, entry = cell.leaves(), describe(type(cell))
    names = ", ".join(leaf.name for leaf in leaves)
    print_head(console, chosen, f"a cell of {len(leaves)} devices ({names}), {entry.title}")
    console.print(f"\n{entry.summary}\n", markup=False, highlight=False)
    rules = fields_of(cell, left_out=_device_fields(cell))
    print_rows(console, grid("cell", "value", "unit", "meaning"), [*rules, *_numbers(cell)])
    rows = [_part(leaf) for leaf in leaves]
    print_rows(console, grid("part", "factor", *COLUMNS), rows)
    for device, members in alike(leaves):
        who = ", ".join(leaf.name for leaf in members)
        console.print(f"Device of {who}: law {type(device.response).__name__}", style="bold", highlight=False)
        print_law(console, device)
        print_tables(console, measure(device, seed), _prefix(cell, device))


def _numbers(cell: ComposedCell) -> list[tuple[str, str, str, str]]:
    found = cell_numbers(cell)
    step = "change of the weight by one pulse at q = 1 to each device that receives it"
    bounds = f"{number(found.lower)} .. {number(found.upper)}"
    return [
        ("granularity", number(found.granularity), WEIGHT, step),
        ("bounds", bounds, WEIGHT, "of the sum of the hidden weights"),
        ("number of states", number(found.states), "", "(upper - lower) / granularity"),
    ]


def _part(leaf: Leaf) -> tuple[str, ...]:
    row = device_row(device_entry(leaf.name, leaf.device))
    return leaf.name, number(leaf.factor), *row[1 : 1 + len(COLUMNS)]


def _prefix(cell: ComposedCell, device: Device) -> str:
    """Return the prefix of a device's fields as `--set` takes them, "" if the device is one of a tuple."""
    return next((f"{name}." for name in _device_fields(cell) if getattr(cell, name) == device), "")


def _device_fields(cell: ComposedCell) -> list[str]:
    """Return the names of the fields that hold devices, which have a table of their own."""
    kinds, names = (Device, ComposedCell), []
    for field in describe(type(cell)).fields:
        value = getattr(cell, field.name)
        inner = value if isinstance(value, tuple) else (value,)
        if any(isinstance(part, kinds) for part in inner):
            names.append(field.name)
    return names
