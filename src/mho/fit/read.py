"""Files of pulse data: columns of reads (ramps), or tables of the distribution of a step."""

import csv
import itertools
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mho.base.errors import complaint
from mho.base.stored import read_text
from mho.fit.measured import DOWN, UP, WORDS, Array, Measured, Ramp, Steps

UPWARDS = ("up", "pot", "ltp", "set", "increas")
DOWNWARDS = ("down", "dep", "ltd", "reset", "decreas")
COUNTERS = ("pulse", "pulses", "index", "number", "no", "n", "#", "step", "time", "t", "cycle")
MIN_PULSES = 10


class FileLine(NamedTuple):
    """The numbers of one line; nan where a cell is empty."""

    number: int
    cells: list[float]


def read(files: Sequence[str | os.PathLike[str]]) -> Measured:
    """Read the ramps or tables of one or two files.

    Args:
        files: one file with ramps of both directions, or one file for each direction.

    Raises:
        MhoError: with the file, the line and what is needed.
    """
    if not 1 <= len(files) <= 2:
        raise complaint("fit", f"{len(files)} files", "One file, or one for up and one for down")
    notes: list[str] = []
    found: list[Ramp | Steps] = []
    for file in map(Path, files):
        names, lines = _lines(file)
        found += [_table(file, lines)] if _is_table(lines) else _ramps(file, names, lines, notes)
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
    return Measured(ramps, steps, tuple(notes), tuple(str(f) for f in files))


def _lines(file: Path) -> tuple[list[str], list[FileLine]]:
    """Return the names in the header, and the lines of numbers."""
    raw = read_text(file).splitlines()
    delimiter, comma = _format(raw)
    names: list[str] = []
    lines: list[FileLine] = []
    for number, line in enumerate(raw, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            words = [w.strip() for w in _split(line, delimiter)]
        except csv.Error as error:
            raise complaint(f"{file}, line {number}", f"is no line of a table ({error})") from None
        if words and words[-1] == "":
            words.pop()  # a separator at the end of the line
        try:
            cells = [math.nan if w == "" else float(w.replace(",", ".") if comma else w) for w in words]
        except ValueError:
            if lines:
                bad = next(w for w in words if not _number(w.replace(",", ".") if comma else w))
                raise complaint(f"{file}, line {number}", f"{bad!r} is no number") from None
            names = words
            continue
        if any(math.isinf(c) or (math.isnan(c) and w != "") for c, w in zip(cells, words, strict=True)):
            raise complaint(f"{file}, line {number}", "a value is not finite", fix="leave the cell empty")
        lines.append(FileLine(number, cells))
    if not lines:
        raise complaint(str(file), "holds no numbers", "Needed: reads in columns, or a table of steps")
    return names, lines


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word == ""
    return True


def _format(raw: Sequence[str]) -> tuple[str | None, bool]:
    """Find the separator of the columns, None for blanks, and say if numbers have a decimal comma."""
    lines = [line for line in raw if line.strip() and not line.lstrip().startswith("#")][-50:]
    sample = [line for line in lines if not re.search("[a-df-zA-DF-Z]", line)] or lines
    for delimiter in (";", "\t"):
        if sample and all(delimiter in line for line in sample):
            return delimiter, any("," in line for line in sample) and not any("." in line for line in sample)
    return ("," if any("," in line for line in sample) else None), False


def _split(line: str, delimiter: str | None) -> list[str]:
    return line.split() if delimiter is None else next(csv.reader([line], delimiter=delimiter))


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


def _ramps(file: Path, names: list[str], lines: Sequence[FileLine], notes: list[str]) -> list[Ramp]:
    width = len(lines[0].cells)
    for line in lines:
        if len(line.cells) > width:
            need = f"Needed: {width}, as in line {lines[0].number}"
            raise complaint(f"{file}, line {line.number}", f"{len(line.cells)} columns", need)
    cells = np.array([line.cells + [math.nan] * (width - len(line.cells)) for line in lines])
    names = names if len(names) == width else [""] * width
    ramps = []
    for i in range(width):
        column = cells[:, i]
        title = f"column {i + 1}" + (f" ({names[i]})" if names[i] else "")
        length = int(np.isfinite(column).sum())
        if not np.isfinite(column[:length]).all():
            gap = lines[int(np.isnan(column).argmax())].number
            raise complaint(
                f"{file}, line {gap}", f"{title} has a gap", "A ramp has a value after each pulse"
            )
        values = column[:length]
        counts = length > 2 and names[i].lower() in (*COUNTERS, "") and (np.diff(values) == 1).all()
        if width > 1 and (names[i].lower() in COUNTERS or counts):
            notes.append(f"{file}: {title} counts the pulses and is left out.")
            continue
        if length < MIN_PULSES + 1:
            need = f"Needed: at least {MIN_PULSES + 1}"
            raise complaint(f"{file}, {title}", f"{length} values", need)
        ramps.append(
            Ramp(_direction(values, names[i], f"{file}, {title}"), values.copy(), f"{file}, {title}")
        )
    return ramps


def _direction(values: Array, name: str, where: str) -> int:
    """Return the sign of the pulses, from the column's name or from the direction of the ramp."""
    low = name.lower()
    named = [s for s, words in ((DOWN, DOWNWARDS), (UP, UPWARDS)) if any(low.startswith(w) for w in words)]
    end = max(1, len(values) // 10)
    travel = values[-end:].mean() - values[:end].mean()
    # Reads about one level: their mean over `end` reads has an error of std(difference)/sqrt(2 end).
    noise = np.diff(values).std() / math.sqrt(end)
    if named:
        if travel * named[0] < -3 * noise:
            away = "falls" if travel < 0 else "rises"
            raise complaint(where, f"{name!r} {away}", f"Its name says {WORDS[named[0]]}")
        return named[0]
    if abs(travel) <= noise:
        raise complaint(where, "neither rises nor falls", fix="name the columns up and down in a header")
    return UP if travel > 0 else DOWN
