"""The arithmetic of the report: ratios, geometric means, exponents, and the bars they are held to."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class Bar(NamedTuple):
    """A requirement and what was measured; None is "not measured"."""

    what: str
    value: float | None
    limit: float
    at_least: bool

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        return "met" if met else "missed"


def ratio(row: dict, above: str, below: str) -> float | None:
    """Median of one contender over that of another in one row; None if either is missing."""
    a, b = (row["of"].get(name, {}).get("median") for name in (above, below))
    return a / b if a is not None and b is not None else None


def ratios(rows: Iterable[dict], above: str, below: str) -> list[float]:
    """The ratios of the rows that have both."""
    found = [ratio(row, above, below) for row in rows]
    return [r for r in found if r is not None]


def geometric_mean(values: list[float]) -> float | None:
    """None of no values."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """Slope of log(seconds) over log(sizes), by least squares."""
    x, y = [math.log(s) for s in sizes], [math.log(s) for s in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return slope / sum((a - mean_x) ** 2 for a in x)


def axes(group: dict) -> dict[str, tuple[list[float], list[float]]]:
    """{"cells" | "samples": (sizes, seconds)} of the group "linear"."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for row in group["rows"]:
        case, own = row["case"], row["of"].get("mho", {})
        if "median" in own:
            sizes, seconds = found.setdefault(case["axis"], ([], []))
            sizes.append(case["out"] * case["n_in"] if case["axis"] == "cells" else case["samples"])
            seconds.append(own["median"])
    return found


def bars(groups: dict) -> list[Bar]:
    """Every bar whose group was run."""
    found = []

    def factor(group: str, limit: float, each: float | None = None) -> None:
        if group in groups:
            values = ratios(groups[group]["rows"], "aihwkit", "mho")
            found.append(Bar(f"{group}: aihwkit / mho, geometric mean", geometric_mean(values), limit, True))
            if each is not None:
                found.append(
                    Bar(f"{group}: aihwkit / mho, worst case", min(values, default=None), each, True)
                )

    factor("update", 8, each=5)
    factor("update-without-c2c", 20)
    factor("update-bl-management", 5)
    factor("update-aggregated", 60)
    for row in groups.get("fcn", {"rows": []})["rows"]:
        algorithm = row["case"]["algorithm"]
        first = algorithm in ("analog-sgd", "ttv1")
        if "median" in row["of"].get("mho", {}):
            limit = 2.5 if first else 3.5
            found.append(Bar(f"fcn, {algorithm}: mho / digital", ratio(row, "mho", "digital"), limit, False))
        if first:
            found.append(Bar(f"fcn, {algorithm}: aihwkit / mho", ratio(row, "aihwkit", "mho"), 2, True))
    for axis, (sizes, seconds) in axes(groups.get("linear", {"rows": []})).items():
        off = abs(exponent(sizes, seconds) - 1)
        found.append(Bar(f"linear: distance of the exponent in {axis} from 1", off, 0.05, False))
    calls = groups.get("first-call", {})
    limits = {"import": 0.3, "compiled": 2.0, "MHO_CACHE": 2.0, "warm": 0.3}
    for what, seconds in calls.items():
        limit = next(s for word, s in limits.items() if word in what)
        found.append(Bar(f"first call: {what} [s]", seconds["median"], limit, False))
    return found
