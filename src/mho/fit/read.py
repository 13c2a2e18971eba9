"""Files of pulse data: columns of reads (ramps), or tables of the distribution of a step."""

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mho.base.errors import complaint, shown
from mho.fit.cells import FileCells, cells
from mho.fit.cuts import groups_of, legs
from mho.fit.layout import Layout, layout
from mho.fit.measured import DOWN, UP, WORDS, Array, ColumnLine, Measured, Ramp, Steps
from mho.fit.roles import ROLES, Column, column

MIN_PULSES = 10
DATA = ("up", "down", "both")


class FileLine(NamedTuple):
    """The numbers of one line; nan where a cell is empty."""

    number: int
    cells: list[float]


def read(
    files: Sequence[str | os.PathLike[str]],
    columns: Mapping[str, str] | None = None,
    read_voltage: float | None = None,
    sheet: str | None = None,
    cycle: int | None = None,
) -> Measured:
    """Read the ramps or tables of one or two files.

    Args:
        files: one file with ramps of both directions, or one file for each direction.
        columns: {heading or "column N": role} where heading and numbers do not decide.
        read_voltage: of currents [V].
        sheet: of a workbook.
        cycle: the only cycle that is taken.

    Raises:
        MhoError: with the file, the line and what is needed.
    """
    if not 1 <= len(files) <= 2:
        raise complaint("fit", f"{len(files)} files", "One file, or one for up and one for down")
    for name, role in (columns or {}).items():
        if role not in ROLES:
            raise complaint(
                f"fit(columns={{{name!r}: {role!r}}})", "there is no such role", f"Known: {', '.join(ROLES)}"
            )
    if read_voltage is not None and not (math.isfinite(read_voltage) and read_voltage != 0):
        raise complaint(f"fit(read_voltage={shown(read_voltage)})", "it must be finite and not zero")
    notes: list[str] = []
    found: list[Ramp | Steps] = []
    lines: list[ColumnLine] = []
    cycled = False
    left = set(columns or {})
    for file in map(Path, files):
        raw = cells(file, sheet)
        table = _table_lines(raw)
        if table:
            found.append(_table(file, table))
            continue
        laid = layout(file, raw)
        notes += laid.notes
        mine, many = _ramps(file, laid, columns or {}, left, read_voltage, cycle, notes, lines)
        found += mine
        cycled = cycled or many
    if left:
        raise complaint("fit(columns=...)", f"no column is called {sorted(left)[0]!r}")
    ramps = tuple(sorted((f for f in found if isinstance(f, Ramp)), key=lambda r: -r.sign))
    steps = tuple(sorted((f for f in found if isinstance(f, Steps)), key=lambda s: -s.sign))
    where = " ".join(map(str, files))
    if ramps and steps:
        raise complaint(where, "one file holds ramps and the other a table", "Both must be of one kind")
    for sign in (UP, DOWN):
        if not any(f.sign == sign for f in found):
            raise complaint(
                where,
                f"there are no {WORDS[sign]} pulses",
                "A response is the pair of an up and a down curve",
                "add a column, or the file of the other direction",
            )
    _overlap(where, ramps, notes)
    return Measured(ramps, steps, tuple(notes), tuple(str(f) for f in files), tuple(lines), cycled)


def _overlap(where: str, ramps: Sequence[Ramp], notes: list[str]) -> None:
    """Refuse ranges of up and down that differ by about a power of ten; note those with nothing in common.

    Ranges that overlap may differ in width: pulses of one direction may move a device less.
    """
    if not ramps:
        return
    ends = {s: [np.concatenate([r.values for r in ramps if r.sign == s])] for s in (UP, DOWN)}
    (a, b), (c, d) = ((float(v[0].min()), float(v[0].max())) for v in ends.values())
    apart = min(b, d) < max(a, c)
    if apart:
        notes.append(
            f"{where}: up goes from {a:.4g} to {b:.4g}, down from {c:.4g} to {d:.4g}: nothing in common."
        )
    reach, width = (max(map(abs, (a, b))), max(map(abs, (c, d)))), (b - a, d - c)
    pairs = (reach, width) if apart else (reach,)
    if max(max(p) / max(min(p), 1e-300) for p in pairs) > 8:
        raise complaint(
            where,
            f"up goes from {a:.4g} to {b:.4g}, down from {c:.4g} to {d:.4g}",
            "Both must be of the same range: units or columns differ",
            "write the unit into each heading",
        )


def _table_lines(raw: Sequence[FileCells]) -> list[FileLine]:
    """Return the lines of a table of steps, empty for any other file."""
    lines: list[FileLine] = []
    for line in raw:
        values = line.values()
        if not line.words or (not lines and None in values):
            continue
        if None in values:
            return []
        lines.append(FileLine(line.number, [v for v in values if v is not None]))
    if any(math.isinf(c) for line in lines for c in line.cells):
        return []
    return lines if _is_table(lines) else []


def _is_table(lines: Sequence[FileLine]) -> bool:
    """Say if the lines are a row of n conductances, a row of m levels from 0 to 1, and m rows of n steps."""
    if len(lines) < 3:
        return False
    levels = lines[1].cells
    rising = all(b >= a for a, b in itertools.pairwise(levels))
    shaped = len(lines) == len(levels) + 2 or len(lines[0].cells) != len(levels)
    return len(levels) > 2 and rising and levels[0] >= 0 and levels[-1] <= 1 and shaped


def _table(file: Path, lines: Sequence[FileLine]) -> Steps:
    g, levels = np.array(lines[0].cells), np.array(lines[1].cells)
    where = f"{file}, line {lines[0].number}"
    if len(g) < 4 or not (np.diff(g) > 0).all():
        raise complaint(where, "the conductances do not rise", "Needed: at least 4 rising numbers")
    if len(lines) != len(levels) + 2:
        rows = len(lines) - 2
        raise complaint(str(file), f"{rows} rows of steps for {len(levels)} levels", "One row for each level")
    for line in lines[2:]:
        if len(line.cells) != len(g) or np.isnan(line.cells).any():
            raise complaint(
                f"{file}, line {line.number}",
                f"{len(line.cells)} steps",
                f"Needed: {len(g)}, as conductances",
            )
    quantiles = np.array([line.cells for line in lines[2:]])
    # The mean is the integral of the quantile function over the level.
    weight, middle = np.diff(levels)[:, None], (quantiles[1:] + quantiles[:-1]) / 2
    weight = weight / weight.sum()
    mean = (weight * middle).sum(0)
    deviation = np.sqrt((weight * (middle - mean) ** 2).sum(0))
    sign = UP if mean.sum() > 0 else DOWN
    return Steps(sign, g, sign * mean, deviation, str(file))


def _ramps(
    file: Path, laid: Layout, said: Mapping[str, str], left: set[str], read_voltage: float | None,
    cycle: int | None, notes: list[str], lines: list[ColumnLine],
) -> tuple[list[Ramp], bool]:  # fmt: skip
    """Return the ramps of a file, and whether they are cycles of one device."""
    width = laid.values.shape[1]
    if any(laid.names) and len(set(laid.names)) < width:
        twice = next(n for i, n in enumerate(laid.names) if n in laid.names[:i])
        raise complaint(str(file), f"two columns are called {twice!r}", fix="give each a name of its own")
    found: list[tuple[str, Column, Array]] = []
    for i, name in enumerate(laid.names):
        title = f"column {i + 1}" + (f" ({name})" if name else "")
        values = laid.values[:, i]
        length = int(np.flatnonzero(np.isfinite(values))[-1]) + 1 if np.isfinite(values).any() else 0
        where = f"{file}, {title}"
        if not np.isfinite(values[:length]).all():
            gap = laid.lines[int(np.isnan(values).argmax())]
            raise complaint(
                f"{file}, line {gap}", f"{title} has a gap", "A ramp has a value after each pulse"
            )
        if length < MIN_PULSES + 1:
            raise complaint(where, f"{length} values", f"Needed: at least {MIN_PULSES + 1}")
        keys = {name, f"column {i + 1}"} & set(said)
        left -= keys
        role = said[keys.pop()] if keys else None
        found.append((where, column(where, name, laid.units[i], values[:length], width == 1, role), values))
    unsure = [w for w, c, _ in found if c.role == "both" and c.name == ""]
    if any(laid.names) and unsure and width > 1:
        raise complaint(unsure[0], "has no heading", "Other columns have one")
    groups, cycled = groups_of(file, [(c.role, v) for _, c, v in found], laid.blocks, laid.lines, cycle)
    scale = _voltage(file, found, read_voltage, notes)
    quantities = {(c.quantity, c.unit != "") for _, c, _ in found if c.role in DATA}
    if len({q for q, _ in quantities}) > 1:
        kinds = " and ".join(sorted(q for q, _ in quantities))
        raise complaint(
            str(file), f"holds {kinds}: one could be the cause of the other", fix="columns={NAME: 'skip'}"
        )
    ramps: list[Ramp] = []
    signs = next((v for _, c, v in found if c.role == "polarity"), None)
    for where, c, values in found:
        before = len(ramps)
        if c.role in DATA:
            if signs is not None and c.role != "both":
                raise complaint(
                    where, f"says {c.role}, and a column says the polarity", fix="columns={NAME: 'both'}"
                )
            for rows in groups:
                v = values[rows]
                v = v[np.isfinite(v)] * c.scale
                if c.quantity == "resistance":
                    if (v <= 0).any():
                        raise complaint(where, "holds a resistance that is not positive")
                    v = 1 / v
                v = v * (scale if c.quantity == "current" else 1.0)
                for part in legs(where, v, None if signs is None else signs[rows], c.role):
                    if len(part) < MIN_PULSES + 1:
                        raise complaint(
                            where, f"a ramp of {len(part)} values", f"Needed: at least {MIN_PULSES + 1}"
                        )
                    _smooth(where, part)
                    ramps.append(Ramp(_direction(part, c.role, where), part.copy(), where))
        elif c.role in ("counter", "voltage", "time", "skip"):
            what = "counts the pulses" if c.role == "counter" else f"is a {c.role}"
            notes.append(f"{where} {what} and is left out.")
        ups = sum(r.sign > 0 for r in ramps[before:])
        seen = values[np.isfinite(values)]
        lines.append(ColumnLine(where, c.role, c.why, c.unit, ups, len(ramps) - before - ups,
                                float(seen.min()), float(seen.max())))  # fmt: skip
    return ramps, cycled or any(len(rows) < len(laid.lines) for rows in groups)


def _voltage(
    file: Path, found: Sequence[tuple[str, Column, Array]], said: float | None, notes: list[str]
) -> float:
    """Return the factor from currents to conductances [1/V]; 1 where no voltage is known."""
    if not any(c.quantity == "current" and c.role in DATA for _, c, _ in found):
        if said is not None:
            raise complaint(f"fit(read_voltage={said})", f"{file} holds no currents")
        return 1.0
    for where, c, v in found:
        if c.role == "voltage":
            seen = v[np.isfinite(v)] * c.scale
            if np.ptp(seen) <= 1e-3 * abs(seen).max() and seen[0] != 0:
                return 1 / (said or abs(float(seen[0])))
            if said is None:
                raise complaint(where, f"goes from {seen.min():.4g} to {seen.max():.4g} V beside a current",
                                "A current is a conductance at one read voltage", "read_voltage=0.1")  # fmt: skip
    if said is None:
        notes.append(f"{file}: currents, in A; without a read voltage the range stays in A.")
    return 1 / (said or 1.0)


def _smooth(where: str, v: Array) -> None:
    """Refuse a jump: a value that is missing, of another unit or of another row."""
    signed = np.diff(v)
    steps = np.abs(signed)
    at = int(steps.argmax())
    bad = [at] if steps[at] > 0.35 * np.ptp(v) and steps[at] > 12 * np.median(steps) else []
    for i in range(1, len(steps)):  # a value between two others of another kind, or the last one
        near = np.median(np.r_[steps[max(0, i - 6) : i - 1], steps[i + 1 : i + 6]])
        lone = i == len(steps) - 1 or signed[i] * signed[i - 1] < 0
        size = steps[i] if i == len(steps) - 1 else min(steps[i], steps[i - 1])
        if lone and size > 0.08 * np.ptp(v) and size > 8 * max(near, np.median(steps)):
            bad.append(i)
    if bad:
        at = bad[0]
        raise complaint(where, f"jumps from {v[at]:.4g} to {v[at + 1]:.4g} at value {at + 2}",
                        "The steps of a ramp are alike", "is a value in another unit, or a line lost?")  # fmt: skip


def _direction(values: Array, role: str, where: str) -> int:
    """Return the sign of the pulses, from the column's role or from the direction of the ramp."""
    named = [] if role == "both" else [UP if role == "up" else DOWN]
    end = max(1, len(values) // 10)
    travel = values[-end:].mean() - values[:end].mean()
    # Reads about one level: their mean over `end` reads has an error of std(difference)/sqrt(2 end).
    noise = np.diff(values).std() / math.sqrt(end)
    if named:
        if travel * named[0] < -3 * noise:
            away = "falls" if travel < 0 else "rises"
            raise complaint(where, f"{away}", f"Its name says {WORDS[named[0]]}")
        return named[0]
    if abs(travel) <= noise:
        raise complaint(where, "neither rises nor falls", fix="name the columns up and down in a header")
    return UP if travel > 0 else DOWN
