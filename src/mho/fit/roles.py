"""The roles of columns, by heading and by numbers."""

import re
from typing import NamedTuple

import numpy as np

from mho.base.errors import complaint
from mho.fit.measured import Array

ROLES = ("up", "down", "both", "counter", "time", "voltage", "polarity", "cycle", "device", "skip")
WORDS_OF = {
    "counter": "pulse pulses puls pulsnr pulsnummer index idx number num no nr n # step count counter point sample",
    "time": "time t zeit timestamp date seconds",
    "voltage": "v voltage volt vg vd vp vprog vread bias amplitude spannung anodev gatev drainv",
    "polarity": "polarity pol sign direction dir polung",
    "cycle": "cycle cycles cyc run loop repeat zyklus sweep",
    "device": "device dev cell dut die chip",
    "up": "up pot potentiation ltp set inc increase increasing",
    "down": "down dn dep depression ltd reset dec decrease decreasing",
    "current": "i id ids current iread strom anodei draini gatei is ic",
    "resistance": "r res resistance widerstand",
    "conductance": "g conductance leitwert conductivity gd gds",
}
BY_WORD = {w: role for role, text in WORDS_OF.items() for w in text.split()}
UNIT_OF = re.compile(r"[\(\[]\s*([^\)\]]*?)\s*[\)\]]\s*$")
SCALES = {
    "": 1.0,
    "p": 1e-12,
    "n": 1e-9,
    "u": 1e-6,
    "µ": 1e-6,
    "μ": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
}
QUANTITY = {"S": "conductance", "A": "current", "V": "voltage", "Ohm": "resistance", "ohm": "resistance",
            "\u03a9": "resistance", "\u2126": "resistance", "s": "time"}  # fmt: skip


class Column(NamedTuple):
    """The reading of a column: its role, unit and quantity.

    Args:
        name: heading, or "".
        role: one of `ROLES`.
        why: in words.
        unit: as written; "" for none.
        scale: factor to S, A, Ohm or V.
        quantity: conductance, current or resistance.
    """

    name: str
    role: str
    why: str
    unit: str
    scale: float
    quantity: str


def unit_of(text: str) -> tuple[str, float] | None:
    """Return the quantity and the scale of a unit, None if it is none."""
    for base in sorted(QUANTITY, key=len, reverse=True):
        if text.endswith(base) and text[: -len(base)] in SCALES:
            return QUANTITY[base], SCALES[text[: -len(base)]]
    return ("", 1.0) if text in ("%", "a.u.", "1", "#") else None


def column(where: str, name: str, cell_unit: str, v: Array, alone: bool, said: str | None) -> Column:
    """Find the role of a column. Raises: MhoError if heading and numbers contradict, or neither decides.

    Args:
        where: file and column, for errors.
        name: heading.
        cell_unit: unit in the cells.
        v: the numbers, without nan.
        alone: whether the file has one column only.
        said: the role that the user gave.
    """
    bracket = UNIT_OF.search(name)
    unit, bare = (bracket[1] if bracket else ""), name[: bracket.start()] if bracket else name
    if unit and cell_unit and unit != cell_unit:
        raise complaint(where, f"the heading says {unit}, its cells {cell_unit}")
    unit = unit or cell_unit
    known = unit_of(unit) if unit else ("", 1.0)
    bare = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare) if bare not in BY_WORD else bare
    words = [w for w in re.split(r"[\s_\-./:,]+", bare.lower()) if w and not w.isdigit()]
    words = [w if w in BY_WORD or not w.rstrip("0123456789") else w.rstrip("0123456789") for w in words]
    roles = [BY_WORD[w] for w in words if w in BY_WORD]
    ways = {r for r in roles if r in ("up", "down")}
    kinds = [r for r in roles if r in ("current", "resistance", "conductance", "voltage", "time")]
    quantity = known[0] if known and known[0] else (kinds[0] if kinds else "")
    scale = known[1] if known else 1.0
    if said is not None:
        value = quantity if quantity in ("current", "resistance", "conductance") else "conductance"
        return Column(name, said, "as said", unit, scale, value)
    if unit and known is None:
        raise complaint(where, f"{unit!r} is no unit that is known", "Needed: S, A, Ohm, V or s with a prefix",
                        f"columns={{{name!r}: ROLE}}")  # fmt: skip
    if known and known[0] and kinds and known[0] != kinds[0]:
        raise complaint(where, f"is a {kinds[0]} by its name and a {known[0]} by its unit", fix=_fix(name))
    steps = np.diff(v)
    counts = len(v) > 2 and bool((v == np.round(v)).all()) and bool((steps == 1).all())
    even = len(v) > 2 and np.ptp(steps) <= 1e-6 * abs(steps).max() + 1e-300

    def made(role: str, why: str, value: str = "") -> Column:
        return Column(name, role, why, unit, scale, value)

    others = [r for r in roles if r in ("counter", "cycle", "device", "polarity")]
    if quantity in ("voltage", "time") and ways:
        raise complaint(where, f"could be a {quantity} or the {ways.pop()} ramp", fix=_fix(name))
    if quantity in ("voltage", "time"):
        return made(quantity, "its heading")
    if len(ways) == 2:
        ways = set()
    if others and not ways and not kinds:
        if "polarity" in others:
            if not set(np.unique(v)) <= {-1.0, 0.0, 1.0} or len(np.unique(v)) != 2:
                raise complaint(
                    where, "its heading says polarity, its numbers do not", "Needed: two of -1, 0, 1"
                )
            return made("polarity", "its heading and two values")
        if (v != np.round(v)).any():
            raise complaint(
                where, f"is a {others[0]} by its heading, but its numbers are not whole", fix=_fix(name)
            )
        role = next((r for r in others if r != "counter"), "counter")
        return made(role, "its heading and whole numbers")
    if ways or quantity in ("current", "resistance", "conductance"):
        if counts and not alone:
            raise complaint(where, "has the heading of a ramp, but counts 1, 2, 3", fix=_fix(name))
        if len(np.unique(v)) < 3 and len(v) > 8:
            raise complaint(where, "has the heading of a ramp, but two values at most", fix=_fix(name))
        role = ways.pop() if ways else "both"
        return made(role, "its heading", quantity or "conductance")
    if words:
        raise complaint(
            where, "its heading says neither what it is nor a direction", "Needed: a role", _fix(name)
        )
    if counts and not alone:
        return made("counter", "it counts by one")
    if even and not alone and steps[0] != 0:
        raise complaint(
            where, "rises evenly: a time, a voltage or a ramp", "Nothing decides", "write a heading"
        )
    return made("both", "its numbers; no heading", quantity or "conductance")


def _fix(name: str) -> str:
    return f"columns={{{name!r}: 'up'}}, or another of {', '.join(ROLES)}"
