"""Numbers with their origin: the formula that is shown as text is the formula that is computed."""

import math
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

FUNCTIONS = {
    "sqrt": math.sqrt,
    "log": math.log,
    "ceil": math.ceil,
    "floor": math.floor,
    "min": min,
    "max": max,
}

_HEADING = re.compile(r"(\w+)(?: \[(.+?)\])? ([=~]) (.+)")


class Rule(NamedTuple):
    """A number that follows from others by a formula.

    In a text for `parse` a rule is a line `name [unit] = formula`, with `~` in place of `=` for a rule of thumb,
    and indented lines with the reason. A line with one word alone names the field of the rules below it.

    Args:
        field: the hyper-parameter that the number is about, or "device" or "tile".
        name: name of the number, which later formulas may use; unit: its unit, "" if it has none.
        formula: arithmetic with `FUNCTIONS` and with the functions and numbers that are given.
        thumb: a rule of thumb; other numbers follow from the definitions.
        why: meaning of the number.
    """

    field: str
    name: str
    unit: str
    formula: str
    thumb: bool
    why: str


def parse(text: str) -> list[Rule]:
    """Return the rules of a text."""
    found: list[Rule] = []
    field = ""
    for line in filter(None, text.splitlines()):
        heading = None if line.startswith(" ") else _HEADING.fullmatch(line)
        if heading:
            name, unit, sign, formula = heading.groups("")
            found.append(Rule(field, name, unit, formula, sign == "~", ""))
        elif line.startswith(" "):
            found[-1] = found[-1]._replace(why=f"{found[-1].why} {line.strip()}".strip())
        else:
            field = line
    return found


class Advice(NamedTuple):
    """A number, its formula and the reason. `value` is None where there is none, inf where it is infinite."""

    field: str
    name: str
    value: float | None
    unit: str
    formula: str
    inputs: dict[str, float | None]
    thumb: bool
    why: str

    @property
    def text(self) -> str:
        """The value with its unit, in words."""
        if self.value is None:
            return "none"
        if math.isinf(self.value):
            return "infinite"
        return f"{short(self.value)} {self.unit}".strip()

    @property
    def with_numbers(self) -> str:
        """The formula with numbers in place of its inputs, or "" if it has none."""
        if not self.inputs:
            return ""
        names = "|".join(map(re.escape, self.inputs))
        return re.sub(rf"\b({names})\b", lambda m: short(self.inputs[m[1]]), self.formula)


def evaluate(rules: Iterable[Rule], given: dict[str, Any], fixed: dict[str, float]) -> list[Advice]:
    """Compute every rule in turn; a rule may use the results of those before it.

    A result is None if an input is None, or if an input is infinite and the rule is not about the device. A
    division by zero is infinite.

    Args:
        given: numbers and functions that formulas may name.
        fixed: numbers that later formulas use in place of the result of the rule of that name.
    """
    names = FUNCTIONS | given
    found = []
    for rule in rules:
        code = compile(rule.formula, rule.name, "eval")
        inputs = {n: names[n] for n in code.co_names if not callable(names[n])}
        known = all(v is not None for v in inputs.values())
        finite = known and all(math.isfinite(v) for v in inputs.values())
        value = None
        if finite or (known and rule.field == "device"):
            try:
                value = eval(code, {"__builtins__": {}}, names)
            except ZeroDivisionError:
                value = math.inf
        found.append(Advice(*rule[:2], value, *rule[2:4], inputs, *rule[4:]))
        names[rule.name] = fixed.get(rule.name, value)
    return found


def short(value: float | None) -> str:
    """Return a number in three digits, an integer in all of its own; "none" for None."""
    if value is None:
        return "none"
    if 100 <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.3g}"
