"""The table in a file: its heading, its rows of numbers, and what stands around them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mho.base.errors import complaint
from mho.fit.cells import UNIT, FileCells
from mho.fit.measured import Array

SOLID = 9  # rows of numbers in a row that are data and not metadata
SIGNS = {"up": 1.0, "down": -1.0, "set": 1.0, "reset": -1.0, "ltp": 1.0, "ltd": -1.0, "pot": 1.0,
         "dep": -1.0,
         "p": 1.0, "d": -1.0, "+": 1.0, "-": -1.0, "potentiation": 1.0, "depression": -1.0}  # fmt: skip


class Layout(NamedTuple):
    """The numbers of a file.

    Args:
        names: heading of each column, "" where there is none.
        values: shape (rows, columns), nan where a cell is empty.
        lines: line of the file of each row.
        blocks: number of the block of each row; blank lines or repeated headings part blocks.
        units: unit in the cells of each column, "" for none.
        notes: what was left out, in sentences.
    """

    names: list[str]
    values: Array
    lines: list[int]
    blocks: Array
    units: list[str]
    notes: list[str]


def is_row(line: FileCells) -> bool:
    """Say if all cells are numbers or words of polarity, with at least one number."""
    values = line.values()
    known = all(v is not None or w.lower() in SIGNS for v, w in zip(values, line.words, strict=True))
    return known and any(v is not None and not math.isnan(v) for v in values)


def layout(file: Path, found: Sequence[FileCells]) -> Layout:
    """Find the table of a file. Raises: MhoError with the first word that was not understood, and its line."""
    tagged = [f for f in found if f.words[:1] == ["DataValue"]]
    if tagged:  # Keysight EasyEXPERT, B1500: a tag before each line
        heads = [f for f in found if f.words[:1] == ["DataName"]]
        if len(heads) != 1:
            raise complaint(str(file), f"{len(heads)} lines of DataName", "Needed: one", "one test a file")
        last = tagged[-1].number
        odd = next(
            (f for f in found if heads[0].number < f.number <= last and f.words and f not in tagged), None
        )
        if odd:
            raise complaint(f"{file}, line {odd.number}", f"{odd.words[0]!r} is no DataValue")
        found = [f._replace(words=f.words[1:]) for f in [heads[0], *tagged]]
    rows = [is_row(f) for f in found]
    start = _start(found, rows)
    if start is None:
        raise complaint(str(file), "holds no numbers", "Needed: reads in columns, or a table of steps")
    width = len(found[start].words)
    names, notes = _heading(file, found[:start], rows[:start], width)
    return _body(file, found[start:], rows[start:], width, names, notes)


def _start(found: Sequence[FileCells], rows: Sequence[bool]) -> int | None:
    """Return the first row of numbers after which no text comes before `SOLID` rows; else the first of all."""
    first = run = None
    count = 0
    for i, (line, row) in enumerate(zip(found, rows, strict=True)):
        if row:
            first = i if first is None else first
            run, count = (i, 1) if run is None else (run, count + 1)
            if count == SOLID:
                return run
        elif line.words:
            run, count = None, 0
    return first


def _heading(
    file: Path, before: Sequence[FileCells], rows: Sequence[bool], width: int
) -> tuple[list[str], list[str]]:
    texts = [f for f, r in zip(before, rows, strict=True) if f.words and not r]
    pure = [f for f in texts if all(v is None or math.isnan(v) for v in f.values())]
    names, notes, head = [""] * width, [], None
    heads = [f for f in pure if len(f.words) == width]
    if heads:
        head = heads[-1]
        names = list(head.words)
        if len(heads) > 1 and all(_is_unit(w) or w == "" for w in names):  # a row of units
            names = [
                f"{a} ({u.strip('()[]')})" if u else a for a, u in zip(heads[-2].words, names, strict=True)
            ]
        elif all(_is_unit(w) for w in names):
            names = [f"({u.strip('()[]')})" for u in names]
    for f, r in zip(before, rows, strict=True):
        if not f.words:
            continue
        after = head is not None and f.number > head.number
        mixed = any(v is not None and not math.isnan(v) for v in f.values())
        if (
            (r and (after or head is None))
            or (mixed and (after or len(f.words) == width > 1))
            or (after and f not in pure)
        ):
            bad = next((w for w, v in zip(f.words, f.values(), strict=True) if v is None), f.words[0])
            raise complaint(f"{file}, line {f.number}", f"{bad!r} is no number", "A line is data or heading",
                            "write # before a line that is neither")  # fmt: skip
        if r:
            notes.append(f"{file}, line {f.number}: {' '.join(f.words)} stands before the heading: left out.")
    if head is None and texts and width > 1 and len(texts[-1].words) > 1:
        f = texts[-1]
        raise complaint(
            f"{file}, line {f.number}",
            f"{len(f.words)} headings ({f.words[0]!r} first) for {width} columns",
            "Needed: one for each column",
        )
    return names, notes


def _is_unit(word: str) -> bool:
    return bool(UNIT.fullmatch("1 " + word.strip("()[] "))) or word.strip("()[] ") in ("#", "1", "a.u.")


def _body(
    file: Path,
    found: Sequence[FileCells],
    rows: Sequence[bool],
    width: int,
    names: list[str],
    notes: list[str],
) -> Layout:
    values: list[list[float]] = []
    lines: list[int] = []
    blocks: list[int] = []
    block, text, blank = 0, None, False
    units: list[set[str]] = [set() for _ in range(width)]
    for f, row in zip(found, rows, strict=True):
        where = f"{file}, line {f.number}"
        if not f.words:
            blank = bool(values)
            continue
        if not row:
            bad = next((w for w, v in zip(f.words, f.values(), strict=True) if v is None), f.words[0])
            mixed = any(v is not None and not math.isnan(v) for v in f.values())
            if mixed or (text is not None and text.words != names):
                raise complaint(where, f"{bad!r} is no number")
            text = f
            continue
        if text is not None:
            if text.words != names:
                bad = text.words[0]
                raise complaint(f"{file}, line {text.number}", f"{bad!r} is no number",
                                "Numbers follow after it", "write # before it")  # fmt: skip
            text, blank = None, True
        if len(f.words) > width:
            raise complaint(
                where, f"{len(f.words)} columns", f"Needed: {width}, as in line {found[0].number}"
            )
        block, blank = block + blank, False
        cells = [SIGNS[w.lower()] if v is None else v for v, w in zip(f.values(), f.words, strict=True)]
        for i, (c, w) in enumerate(zip(cells, f.words, strict=True)):
            if math.isinf(c) or (math.isnan(c) and w != ""):
                raise complaint(where, "a value is not finite", fix="leave the cell empty")
            unit = UNIT.fullmatch(w)
            if w:
                units[i].add(unit[2] if unit else "")
        values.append(cells + [math.nan] * (width - len(cells)))
        lines.append(f.number)
        blocks.append(block)
    if text is not None and text.words != names:
        notes.append(f"{file}, line {text.number}: {' '.join(text.words)!r} ends the data: left out.")
    for i, kinds in enumerate(units):
        if len(kinds) > 1:
            raise complaint(str(file), f"column {i + 1} has the units {sorted(kinds)}", "Needed: one")
    sizes = np.bincount(blocks)
    parted = (
        np.array(blocks) if sizes.min() >= SOLID and np.ptp(sizes) == 0 else np.zeros(len(blocks), dtype=int)
    )
    return Layout(names, np.array(values), lines, parted, [next(iter(u), "") for u in units], notes)
