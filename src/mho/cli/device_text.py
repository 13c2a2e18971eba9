"""The tables that `mho device` prints."""

import math
import re
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mho.base.errors import MhoError
from mho.base.records import Record
from mho.base.tables import table
from mho.cli.catalogue import Field, describe
from mho.datasheet.named import NamedDevice
from mho.datasheet.nominal import NEAR, nominal
from mho.datasheet.numbers import Point, Portrait, measure, moments
from mho.device.device import Device
from mho.responses.base import Response

if TYPE_CHECKING:
    import torch

UNIT = re.compile(r" ?\[([A-Za-z1][^\]]*)\]")  # of a docstring; [0, 1] and [low, high are no units
WEIGHT = "weight units"


def grid(*columns: str, title: str = "", last: int = 0) -> Table:
    """Return an empty table whose last column takes the room that is left, or is cut at a width."""
    view = table(*columns, title=title, share={} if last else {columns[-1]: 1})
    if last:
        view.columns[-1].overflow, view.columns[-1].no_wrap, view.columns[-1].max_width = (
            "ellipsis",
            True,
            last,
        )
    return view


def device_entry(name: str, device: Device, source: str = "") -> dict[str, Any]:
    """Return a device as `mho device list --json` gives it."""
    found = measure(nominal(device), cells=(1, 1)).as_dict()
    kept = {n: found[n] for n in ("lower", "upper", "states", "moves", "symmetric", "points")}
    own = {"dw_min": device.dw_min, "sigma_c2c": device.sigma_c2c, "c2c": device.c2c, "source": source}
    return {"name": name, "law": type(device.response).__name__} | kept | own


def device_row(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return one line of a table of devices."""
    e = entry
    noise = "law" if e["c2c"] == "law" else f"{number(e['sigma_c2c'])} {e['c2c'][:3]}"
    bounds = f"{number(e['lower'], '-infinite')} .. {number(e['upper'])}"
    head = e["name"], e["law"], number(e["dw_min"]), number(e["states"]), bounds, points_in_short(e)
    return *head, noise if e["sigma_c2c"] or e["c2c"] == "law" else "none", e["source"]


def law_entry(name: str, law: type[Response]) -> dict[str, Any]:
    """Return a law as `mho device list --json` gives it; `symmetric` is None if its defaults make no device."""
    entry = describe(law)
    formulas = [part.strip() for line in entry.equations.splitlines() for part in re.split(" {4,}", line)]
    try:
        found = measure(Device(law()), cells=(1, 1)).as_dict()
    except (TypeError, MhoError):  # a field without a default, or nothing to search in
        found = {"symmetric": None, "points": []}
    return {
        "name": name,
        "summary": entry.summary,
        "formulas": [f for f in formulas if " = " in f and "symmetric" not in f],
        "symmetric": found["symmetric"],
        "points": found["points"],
        "source": entry.source,
    }


def law_row(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return one line of the table of laws."""
    return entry["name"], "\n".join(entry["formulas"]) or entry["summary"], points_in_short(entry)


def points_in_short(entry: dict[str, Any]) -> str:
    """Return `0, attracts` for each symmetric point, or say that there is none."""
    if entry["points"]:
        return "\n".join(f"{number(p['w'])}, {p['kind']}" for p in entry["points"])
    return {"everywhere": "every weight", "nowhere": "none"}.get(entry["symmetric"], "depends on the fields")


def print_device(console: Console, chosen: NamedDevice, portrait: Portrait) -> None:
    """Print all of `mho device show` for a device."""
    law = type(portrait.device.response).__name__
    print_head(console, chosen, f"a device with the law {law}")
    print_law(console, portrait.device)
    print_tables(console, portrait)
    console.print(f"Figure: mho device plot {chosen.name}", markup=False, highlight=False)


def print_head(console: Console, chosen: NamedDevice, kind: str) -> None:
    """Print the name, and the origin of the numbers."""
    console.print(Text(f"{chosen.name}: {kind}", style="bold"))
    for title, text in (("Source", chosen.source), ("Note", chosen.note)):
        if text:
            console.print(f"{title}: {text}", markup=False, highlight=False)


def print_law(console: Console, device: Device) -> None:
    """Print the summary of a device's law, and its equations."""
    law = describe(type(device.response))
    console.print(f"\n{law.summary}\n", markup=False, highlight=False)
    for line in law.equations.splitlines():
        console.print(Text(f"    {line}"), soft_wrap=True)


def print_tables(console: Console, portrait: Portrait, prefix: str = "") -> None:
    """Print a device's fields, the numbers of its nominal cell, and those of many cells.

    prefix: of the fields' names, as `--set` takes them.
    """
    print_rows(console, grid("field", "value", "unit", "meaning"), fields_of(portrait.device, prefix))
    print_rows(console, grid("nominal cell", "value", "unit", "meaning"), _nominal(portrait))
    table = grid(f"{portrait.cells.sp.numel():,} cells", "mean", "std", "unit", "meaning")
    print_rows(console, table, _population(portrait))


def print_rows(console: Console, table: Table, rows: Iterable[tuple[str, ...]]) -> None:
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def fields_of(
    record: Record, prefix: str = "", left_out: Container[str] = ()
) -> list[tuple[str, str, str, str]]:
    """Return (name as --set takes it, value, unit, meaning) of every field, those of records inside included."""
    rows: list[tuple[str, str, str, str]] = []
    before = Field("", "", "", "", False)
    for f in describe(type(record)).fields:
        if f.name in left_out:
            continue
        value = getattr(record, f.name)
        unit = UNIT.search(f.text)
        meaning = UNIT.sub("", f.text, count=1)
        if f.text and f.text == before.text:  # one text for several fields
            meaning = f"see {prefix}{before.name}"
        else:
            before = f
        inner = isinstance(value, Record)
        shown = type(value).__name__ if inner else _value(value)
        rows.append((prefix + f.name, shown, unit[1] if unit else "", meaning))
        if inner:
            rows += fields_of(value, f"{prefix}{f.name}.")
    return rows


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{n}: {_value(v)}" for n, v in value.items()) or "none"
    return str(value)


def _nominal(p: Portrait) -> list[tuple[str, str, str, str]]:
    at = f"w = {number(p.at)}"
    rows = [
        ("bounds", f"{number(p.lower)} .. {number(p.upper)}", WEIGHT, "of the hidden weight"),
        ("number of states", number(p.states), "", "(upper - lower) / dw_min"),
        (f"step up at {at}", number(p.step_up), WEIGHT, "dw_min gain_up q_up"),
        (f"step down at {at}", number(p.step_down), WEIGHT, "dw_min gain_down q_down"),
    ]
    if p.moves != "both ways":
        rows.append(("moves", p.moves, "", "pulses of the other sign have no effect"))
    if not p.points:
        why = "G = 0" if p.symmetric == "everywhere" else "no root of G between the bounds"
        rows.append(("symmetric point", points_in_short(p._asdict()), "", why))
    for point in p.points:
        rows += _point(point)
    for name, count in (("pulses up", p.pulses_up), ("pulses down", p.pulses_down)):
        meaning = f"from one bound over {NEAR:.0%} of the range, without noise"
        if math.isnan(count):
            count, meaning = math.inf, "a bound is infinite"
        elif math.isinf(count):
            meaning = "they stop having an effect on the way to the other bound"
        rows.append((name, number(count), "pulses", meaning))
    return rows


def _point(point: Point) -> list[tuple[str, str, str, str]]:
    meaning = f"{point.kind}, {point.rate}" + ("" if point.rate == "exponential" else ": G is flat there")
    rows = [("symmetric point", number(point.w), WEIGHT, meaning)]
    if point.rate == "exponential":
        change = "1/e of the distance to it is left" if point.kind == "attracts" else "e times as far from it"
        rows.append(("  slope G'", number(point.slope), "1/weight unit", "at this point"))
        rows.append(("  relaxation", number(point.pulses), "pulses", f"1 / (dw_min |G'|): then {change}"))
    return rows


def _population(p: Portrait) -> list[tuple[str, ...]]:
    cells = p.cells
    rows = [
        _spread("step up", cells.step_up, "at w = 0, or the bound next to it"),
        _spread("step down", cells.step_down, "at w = 0, or the bound next to it"),
        _spread("lower bound", cells.lower, "hidden"),
        _spread("upper bound", cells.upper, "hidden"),
    ]
    if p.symmetric == "everywhere" and not cells.sp.nan_to_num().any():
        return rows
    rows.append(_spread("symmetric point", cells.sp, "hidden; the one nearest to 0"))
    if cells.reference.any():
        rows.append(_spread("reference", cells.reference, "hidden weight that is read as 0"))
        rows.append(_spread("symmetric point as read", cells.apparent_sp, "less the reference"))
    return rows


def _spread(name: str, values: "torch.Tensor", meaning: str) -> tuple[str, ...]:
    found = moments(values)
    if found["mean"] is None:
        return name, "none", "", WEIGHT, meaning
    note = f"; {found['missing']:,} cells have none or are stuck" if found["missing"] else ""
    alike = bool((values == values.flatten()[0]).all())
    return name, number(found["mean"]), "0" if alike else number(found["std"]), WEIGHT, meaning + note


def number(value: float | None, absent: str = "infinite") -> str:
    """Return a number with four digits."""
    if value is None:
        return absent
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}"
